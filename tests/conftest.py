"""Settings for the whole suite."""

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

# for benchmarks/; at the end: lazydestroy itself must come from where it was installed
sys.path.append(str(Path(__file__).parent.parent))

# The same examples each time, so that a failure is a failure for everybody. HYPOTHESIS_PROFILE=explore looks further.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
