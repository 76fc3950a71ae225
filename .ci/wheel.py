"""The wheel of an installed papilio: its size, and what its library needs from the system.

    python .ci/wheel.py DIRECTORY

Packs what pip has installed into a wheel again, so that nothing is built for it, and has auditwheel
say which systems it is for and put the libraries in that aren't on all of them.
"""

import base64
import hashlib
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

MOST_BYTES = 4_000_000
# What every Linux has, and GCC's OpenMP, which auditwheel puts in.
SYSTEM = re.compile(
    r"(libc|libm|libpthread|libdl|libgcc_s|libstdc\+\+|libgomp|ld-linux.*)\.so\.\d+"
)
NOT_PACKED = ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD")


def packed(folder: Path) -> Path:
    """The wheel."""
    distribution = metadata.distribution("papilio")
    tag = re.search(r"^Tag: (.*)$", distribution.read_text("WHEEL"), re.MULTILINE).group(1)
    path = folder / f"papilio-{distribution.version}-{tag}.whl"
    lines = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for file in sorted(distribution.files, key=str):
            if ".." in file.parts or "__pycache__" in file.parts or file.name in NOT_PACKED:
                continue
            content = file.locate().read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            lines.append(f"{file},sha256={digest.decode()},{len(content)}\n")
            wheel.writestr(str(file), content)
        record = f"papilio-{distribution.version}.dist-info/RECORD"
        wheel.writestr(record, "".join([*lines, f"{record},,\n"]))
    return path


def needed(library: Path) -> list[str]:
    """The libraries that another one is linked to."""
    printed = subprocess.run(
        ["readelf", "-dW", str(library)], check=True, capture_output=True, text=True
    ).stdout
    return re.findall(r"\(NEEDED\).*\[(.*)\]", printed)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    wheel = packed(folder)
    size = wheel.stat().st_size
    print(f"{wheel.name}: {size / 1e6:.2f} MB")
    assert size < MOST_BYTES, f"{wheel.name} has {size} bytes, expected less than {MOST_BYTES}"
    (library,) = [
        f.locate() for f in metadata.files("papilio") if re.match(r"_core\..*so$", f.name)
    ]
    others = [name for name in needed(library) if not SYSTEM.fullmatch(name)]
    assert not others, f"{library.name} needs {others}"
    exported = subprocess.run(
        ["nm", "-D", "--defined-only", str(library)], check=True, capture_output=True, text=True
    ).stdout.split()[2::3]
    # A symbol of the kernels that others could see might be taken from a library of theirs.
    visible = {name for name in exported if re.match("PyInit|papilio|_ZNK?7papilio", name)}
    assert visible == {"PyInit__core", "papilio_get_num_threads"}, f"{library.name} has {visible}"
    auditwheel = [sys.executable, "-m", "auditwheel"]
    shown = subprocess.run(
        [*auditwheel, "show", str(wheel)], check=True, capture_output=True, text=True
    ).stdout
    print(" ".join(shown.split("\n\n")[1].split()))
    subprocess.run(
        [*auditwheel, "repair", "-w", str(folder / "repaired"), str(wheel)],
        check=True, capture_output=True,
    )  # fmt: skip
    (repaired,) = (folder / "repaired").glob("*.whl")
    print(f"{repaired.name}: {repaired.stat().st_size / 1e6:.2f} MB")
    assert repaired.stat().st_size < MOST_BYTES


if __name__ == "__main__":
    main()
