"""The command: see the package's text."""
import argparse
import sys
import traceback
from pathlib import Path

import families
from families import catalog
from families.extents import ALL
from families.record import Settings
from oracle import ROOT

FIXTURES = ROOT / "Tests" / "Families" / "Fixtures"


def arguments() -> argparse.ArgumentParser:
    args = argparse.ArgumentParser(prog="python -m families", description=families.__doc__,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("names", nargs="*", metavar="NAME")
    args.add_argument("--out", type=Path, default=ROOT / ".build" / "families")
    args.add_argument("--fixtures", action="store_true", help="write to Tests/Families/Fixtures what is small enough to be committed")
    args.add_argument("--rest", action="store_true", help="only the directories that are not committed")
    args.add_argument("--seeds", type=int, default=48, help="how many seeds are tried at most")
    args.add_argument("--seed-offset", type=int, default=0, help="the first seed tried is the next one")
    args.add_argument("--extents", choices=ALL, help="sizes for all families in place of each family's own")
    args.add_argument("--list", action="store_true")
    return args


def chosen(given: argparse.Namespace) -> list[str]:
    if given.rest:
        return (FIXTURES / "generated.txt").read_text().split()
    if given.fixtures and not given.names:
        return [name for name in catalog.FAMILIES if name not in catalog.GENERATED]
    return given.names or list(catalog.FAMILIES)


def main() -> int:
    given = arguments().parse_args()
    unknown = [n for n in given.names if n not in catalog.FAMILIES]
    if unknown:
        arguments().error(f"unknown: {', '.join(unknown)}; --list shows what there is")
    if given.list:
        print("\n".join(catalog.FAMILIES))
        return 0
    settings, failed = Settings(FIXTURES if given.fixtures else given.out, given.seeds, given.seed_offset), []
    for name in chosen(given):
        try:
            catalog.write(name, settings, given.extents)
            if given.fixtures:
                catalog.drop_large(name, settings)
        except Exception:
            failed.append(name)
            traceback.print_exc()
    if given.fixtures:
        (FIXTURES / "generated.txt").write_text("".join(f"{name}\n" for name in catalog.FAMILIES if not (FIXTURES / name).exists()))
    if failed:
        print(f"not made: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
