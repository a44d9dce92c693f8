"""usage: check.py texts.jsonl

Checks every text with the schema that guided it; each line of the file is an object of name, schema and text.
"""

import json
import sys
from decimal import Decimal

from jsonschema import Draft202012Validator

# Its classes of characters are ECMAScript's, which the validator reads as Python's.
LEFT_OUT = "ecmascript-regex.json"


def main(path):
    checked, left_out, wrong = 0, 0, []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            # Decimal numbers, so that multiples are exact.
            made = json.loads(line, parse_float=Decimal)
            if made["name"].startswith(LEFT_OUT):
                left_out += 1
                continue
            checked += 1
            try:
                document = json.loads(made["text"], parse_float=Decimal)
            except ValueError as error:
                wrong.append(f"{made['name']}: {error}: {made['text'][:200]}")
                continue
            wrong += [f"{made['name']}: {error.message[:200]}" for error in Draft202012Validator(made["schema"]).iter_errors(document)]
    print(f"{checked} texts checked by jsonschema, {left_out} of {LEFT_OUT} left out: {len(wrong)} wrong")
    for line in wrong[:20]:
        print(f"  {line}")
    return 1 if wrong or not checked else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
