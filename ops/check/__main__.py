"""Run every check and say what each found; exit code 1 when one of them fails."""

import subprocess
import sys
import time

from ops.check.steps import Step, steps


def main() -> int:
    """Run all checks, one line for each, the words of a tool only where it fails."""
    failed = [step.name for step in steps() if not passes(step)]
    if failed:
        print(f"check: failed: {', '.join(failed)}")
        return 1
    return 0


def passes(step: Step) -> bool:
    """Run one check and report it."""
    began = time.monotonic()
    answer = subprocess.run(step.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    verdict = "failed" if answer.returncode else "ok"
    print(f"check: {step.name}: {verdict} ({time.monotonic() - began:.1f} s)", flush=True)
    if answer.returncode:
        print(answer.stdout, flush=True)
    return answer.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
