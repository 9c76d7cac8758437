"""Objects in a bucket, `s3://`, `gs://` and `az://`, as paths that are read, listed and written.

An address becomes a path, a client makes its requests, and readers fetch ranges of one version.
"""
