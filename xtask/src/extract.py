"""Extracts chosen members of a zip archive: extract.py ARCHIVE FOLDER MAX_BYTES RULE...

A rule `torch/lib/=lib/` puts what lies under torch/lib/ into lib/; a rule `!*python*` leaves members out by pattern.
Members that would land elsewhere, links, and archives that unpack to more than MAX_BYTES are refused.
"""

import fnmatch
import os
import shutil
import stat
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


def extract(archive, folder, max_bytes, rules):
    chosen = []
    for member in archive.infolist():
        place = destination(member.filename, rules)
        if place is None or member.is_dir():
            continue
        if os.path.isabs(place) or "\\" in place or ".." in place.split("/"):
            sys.exit(f"{archive.filename}: refused: member {member.filename!r} points out of its folder")
        if stat.S_ISLNK(member.external_attr >> 16):
            sys.exit(f"{archive.filename}: refused: member {member.filename!r} is a link")
        chosen.append((member, place))
    total = sum(member.file_size for member, _ in chosen)
    if total > max_bytes:
        sys.exit(f"{archive.filename}: refused: unpacks to {total} bytes, expected at most {max_bytes}")
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
        extract(opened, sys.argv[2], int(sys.argv[3]), sys.argv[4:])
