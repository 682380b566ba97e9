"""The version, in one place: read by pyproject.toml (as text), CMake and the package."""

__version__ = "0.1.0"
