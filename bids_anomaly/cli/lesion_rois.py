"""Write lesion masks for other programs at the end of a run."""

from collections.abc import Iterable

from bids_anomaly.exceptions import BidsAnomalyError
from bids_anomaly.settings import Settings


def write_lesion_rois(settings: Settings, sessions: Iterable, console) -> list[str]:
    """Write the masks of sessions that are done, if they were asked for.

    Parameters
    ----------
    settings : Settings
        Of the run.
    sessions : iterable of Session
        With results.
    console : rich.console.Console
        Where it is said what was written.

    Returns
    -------
    list of str
        Labels of sessions that have none because something is in the way, which is said.
    """
    if settings.lesion_roi is None:
        return []
    from bids_anomaly.bids.lesion_roi import write_lesion_roi

    failed = []
    for session in sessions:
        try:
            path = write_lesion_roi(
                settings.output_dir, session, settings.lesion_roi, primary=settings.primary
            )
        except BidsAnomalyError as error:
            failed.append(session.label)
            console.print(f"{session.label}: no lesion mask: {error}", style="red", markup=False)
            continue
        said = path or "none, because nothing was found within the T1w scan"
        console.print(f"{session.label}: lesion mask for other programs: {said}", markup=False)
    return failed
