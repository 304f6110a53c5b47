"""Extracts chosen members of a zip archive, whose digest is known: extract.py ARCHIVE FOLDER RULE...

A rule `torch/lib/=lib/` puts what lies under torch/lib/ into lib/; a rule `!*python*` leaves members out by pattern.
"""

import fnmatch
import os
import shutil
import sys
import zipfile


def destination(name, rules):
    if any(fnmatch.fnmatchcase(name, rule[1:]) for rule in rules if rule.startswith("!")):
        return None
    for rule in rules:
        prefix, _, place = rule.partition("=")
        if not rule.startswith("!") and name.startswith(prefix):
            return place + name[len(prefix):]
    return None


def extract(archive, folder, rules):
    places = [(member, destination(member.filename, rules)) for member in archive.infolist() if not member.is_dir()]
    chosen = [(member, place) for member, place in places if place is not None]
    if not chosen:
        sys.exit(f"{archive.filename}: none of {' '.join(rules)} is in this archive")
    for member, place in chosen:
        path = os.path.join(folder, place)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # Reading through the archive checks each member's length and CRC.
        with archive.open(member) as source, open(path, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)


if __name__ == "__main__":
    with zipfile.ZipFile(sys.argv[1]) as opened:
        extract(opened, sys.argv[2], sys.argv[3:])
