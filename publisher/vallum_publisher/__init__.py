"""Build, sign and publish URL and hash lists."""
