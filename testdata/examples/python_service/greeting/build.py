"""Builds the wheel of greeting, as pip asks a build backend to (PEP 517)."""

import pathlib
import zipfile

FILES = {
    "greeting-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n",
    "greeting-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: build.py\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "greeting-1.0-py3-none-any.whl"
    files = {"greeting.py": pathlib.Path("greeting.py").read_text(), **FILES}
    files["greeting-1.0.dist-info/RECORD"] = "".join(f"{file},,\n" for file in [*files, "greeting-1.0.dist-info/RECORD"])
    with zipfile.ZipFile(pathlib.Path(wheel_directory, name), "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
    return name
