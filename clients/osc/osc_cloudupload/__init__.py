"""`osc cloudupload`: brings images that OBS has built to AMIs, by the serverless cloud uploader."""

__version__ = "0.1.0"
