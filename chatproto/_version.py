"""The version, for the package itself and for its build."""

__version__ = "1.0.0rc1"
