"""What a report says of a session: every sentence, once.

A sentence may stand on a page only if it is in this list, and only where it is true of the session;
``tests/reports/test_sentences.py`` has for each of them what makes it true, and reads the pages of
several sessions. What a measure of quality makes one suspect stands beside its limits, in
:mod:`bids_anomaly.scoring.quality_limits`.
"""

from bids_anomaly.preprocessing.brain_tools import BRAIN_TOOLS
from bids_anomaly.reconstruction.methods import COMPARISON_IN_WORDS

SENTENCES = {
    # The first line: what was found on a scan.
    "no_finding": "{scan}: no findings.",
    "one_finding": "{scan}: 1 finding, {place}; peak z {z}.",
    "many_findings": "{scan}: {count} findings{classes}. The most unusual is {place}; peak z {z}.",
    # The first line of a follow-up.
    "change": "{scan} since {session}: {changes}.",
    "change_none": "{scan} since {session}: no change that can be detected.",
    "change_nothing": "{scan} since {session}: no findings in either session.",
    "change_undetected": "In {findings} no change can be detected.",
    # What a volume is worth (docs/accuracy.md, "Volumes").
    "marked": "{volume} are marked: that is what passes the threshold, and not the volume of a "
    "disease.",
    "worth": "Marked volumes are what passes the threshold, and not the volume of a disease.",
    # By what, and compared with whom.
    "threshold": "A voxel is marked from a z-score of {z} on, which fewer than {rate} of the "
    "voxels of the reference reach: {reference}.",
    "rate": "In people of another age, or on another scanner, that rate may be another.",
    "share": "Here {share} of the brain is marked.",
    "none_marked": "In this brain no such place is as large as {volume}, the least volume of a "
    "finding.",
    "subtle": "Disease that changes little stays below it.",
    "where": "Marked by region: {places}.",
    "where_most": "Marked most by region: {places}; something is marked in {count} regions.",
    "how_unusual": "The highest z-score is {z}, in finding {index}; the threshold is {threshold}.",
    "confidence": "The confidence is {least} or more (of 0.5 to 1) in {sure} of {findings}.",
    "confidence_worth": "Confidence ranks findings; it is no probability of disease.",
    "quality_good": "All {count} measures of this scan that have limits are within those of good "
    "scans.",
    "quality_outside": "Outside the limits of good scans: {names} ({outside} of {count} measures).",
    "quality_unknown": "No measure of this scan has limits.",
    "quality_worth": "False findings are likelier; see the warnings.",
    # Warnings.
    "other_leads": "There is no {modality} scan to lead this report; {scan} does.",
    "not_compared": "When this page was written, {second} had not been compared with {first}. That "
    "comes at the end of a run and writes this page again; where it fails, the log of the run says "
    "why.",
    "many_times": "{scan}: {share} of the brain is marked; of the reference ({reference}) {rate} "
    "is on average. Extensive disease can do that. So can a brain mask or registration that "
    "failed, a scanner unlike those of the reference, and, on T1w, ventricles much larger than "
    "those that the model learned from; regions around them are then misplaced too. Look at the "
    "scan and the checks below.",
    "no_model": "{modalities}: no trained model is used, anomalies are voxels of unusual "
    "intensity, and no pseudo-healthy image is made. Expect false findings where healthy tissue is "
    "bright (or dark on T1w).",
    "short_training": "{models}: the weights are " + COMPARISON_IN_WORDS + ". Use --model {family} "
    "to find it.",
    "other_steps": "{model}: z-scores and thresholds hold for the number of steps of the "
    "calibration, {calibrated}, and --steps asks for {steps}. Calibrate it with "
    "bids-anomaly-calibrate --steps, or leave --steps out.",
    # Tables.
    "rows_none": "No {several}.",
    "rows_one": "One {one}.",
    "rows_all": "All {count} {several}.",
    "rows_largest": "The {shown} largest of {count} {several}.",
    "choose_finding": "Choose one to see it in the viewer.",
    "finding_is": "A finding is a connected place of unusual voxels; whether it is a lesion is for "
    "you to judge.",
    "finding_columns": "Volumes are those of the person; centres are in the template, x to the "
    "right, y to the front, z up.",
    "peaks_are": "Peaks are those of the scan as it was acquired; the maps of the viewer, at 2 mm, "
    "reach less.",
    "location_is": "The location is that of the criteria for multiple sclerosis.",
    "region_chart": "Regions of the atlas DLMUSE, their left and right parts together.",
    "quality_columns": "What good scans have at least and at most; a value outside stands under "
    "the warnings.",
    # Change.
    "changed_rows": "{changed} of {findings} changed.",
    "unseen": "Outside of what both scans saw, and not compared: {findings}.",
    "changed_shown": "The {shown} with the largest change are shown.",
    "choose_place": "Choose one to see its place in the viewer.",
    "changed_volumes": "Volumes are those of each scan, within what both saw.",
    "below_detection": "Below detection means that z-scores differ by no more than they do where "
    "nothing was found, or in too small a part: do not read two such volumes as a change.",
    "change_how": "Both scans were registered to the space half way between them. {compared} % of "
    "the brain that either saw was seen by both and is compared. Where neither has a finding, "
    "z-scores differ by a standard deviation of {noise}, and borders seem to move by {shift} mm. A "
    "voxel counts as changed beyond {limit} times that and a z of 1, a finding if at least "
    "{volume} and a tenth of it did.",
    "change_worth": "This noise floor is from these two scans. It does not know what else changes "
    "findings without disease: another scanner or sequence, a contrast agent, or a model that is "
    "unsure.",
    "change_colours": "Outlines: orange is new or larger, blue is gone or smaller, white is below "
    "detection. In the last picture of a row, warm colours are a higher z-score than before, cold "
    "ones a lower one, beyond the noise floor. Slices of the space half way between the scans; "
    "left is left.",
    "later": "What changed after this session stands in the report of {later}.",
    # Why scans of two sessions are not compared.
    "no_order": "{scans} are not compared: it is not known which session came first, so nothing "
    "can be called new or gone. Give each an acq_time in the sessions.tsv of the participant, and "
    "run the same command again.",
    "two_models": "{scans} are not compared: their z-scores are from different models ({first} and "
    "{second}, or other weights or calibration). Run both sessions with one model.",
    "two_numbers_of_steps": "{scans} are not compared: their z-scores are from different numbers "
    "of steps ({numbers}). Run both sessions with the same --steps.",
    "two_thresholds": "{scans} are not compared: their findings are from different thresholds. Run "
    "both sessions with the same --healthy-fpr and --min-lesion-volume.",
    "no_native_maps": "{scans} are not compared: that takes maps in the grids of the scans. Run "
    "with native in --output-spaces.",
    "failed_session": "{scans} are not compared: the last run of {session} failed. Run it again.",
    "lost_map": "{scans} are not compared: {path} does not exist. Run that session again.",
    # Pictures.
    "slices": "Axial slices in {space}, neurological orientation: left is left.",
    "units": "Intensities are in units of typical white matter.",
    "residual_colours": "In the residual, warm colours are brighter than the pseudo-healthy image, "
    "cold ones darker.",
    "z_is": "The z-score says how unusual a voxel is among those of the reference; values beyond "
    "the ends of a scale take its last colour.",
    "no_image": "This model gives no pseudo-healthy image.",
    "nothing_drawn": "There is no finding, so none is drawn.",
    # Methods, to be pasted into an article.
    "processed": "Scans were processed with bids-anomaly {version}.",
    **{f"brain_{name}": tool.words for name, tool in BRAIN_TOOLS.items()},
    "brain_prepared": "A bias-corrected T1w scan and its brain mask were taken from {pipeline}.",
    "brain_given": "The brain mask of the {modality} scan was taken from {pipeline}.",
    "to_first": "The other scans of the session were registered rigidly to its {first} scan.",
    "trimmed": "What was found as brain beyond the brain of the {first} scan was left out, if "
    "it was less than a fifth of all.",
    "to_template": "The {first} scan was registered to the template {template} by an affine and, "
    "for results in the template, by symmetric normalisation (SyN) of {image}, in one "
    "interpolation.",
    "to_template_prepared": "The {first} scan was registered to the template {template} by an "
    "affine; results in the template follow the deformation that came with it, in one "
    "interpolation.",
    "to_others": "Results in {spaces} (TemplateFlow, Ciric et al. 2022) went on from there by a "
    "transform between the templates, the same for all participants, and were interpolated once "
    "too.",
    "bias": "Bias fields were estimated from healthy tissue alone, as a smooth field of cosines "
    "beside three tissues and an outlier class (after Ashburner and Friston 2005 and Van Leemput "
    "et al. 2001), so that lesions were not taken for shading.",
    "intensities": "Intensities were divided by the level of white matter, found by an estimator "
    "that lesions hardly move.",
    "by_intensity": "On {modality}, normalised intensity itself was the score.",
    "denoised": "{modality} scans were denoised by total variation (Chambolle 2004) before they "
    "were scored.",
    "by_model": "On {modality}, the {made} was made{steps} by {model}, {method}.",
    "trained": "It was trained on {people}.",
    "trained_briefly": "It was trained on {people}, for a short time and to compare methods.",
    "synthesised": "For training, the contrast of {modality} was synthesised from their images.",
    "removes": "It learnt to remove {anomalies}.",
    "scores": "Scores were compared with those of other people ({reference}): a voxel is called "
    "anomalous where fewer than {rate} % of their voxels score as high; components below {volume} "
    "mm³ were left out.",
    "each_by_itself": "Each scan was judged by itself.",
}


def say(name: str, **values: object) -> str:
    """Return a sentence of :data:`SENTENCES` with its values."""
    return SENTENCES[name].format(**values)
