"""Turn a video into a matte, and render the matte over a background."""

import os

# Threads of torch's OpenMP that wait for each other sleep instead of spinning: where another program holds
# one of the processors, a spinning barrier costs a whole time slice, and a small network ran fifty times
# slower. OpenMP reads this once, when torch is imported, which everything here does later.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
