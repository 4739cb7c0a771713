"""What several benchmarks read, run and print; the scripts beside this folder are benchmarks."""
