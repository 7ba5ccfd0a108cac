"""Stores: the model repository on a folder, S3, Google Cloud Storage or Azure Blob, shared by several operators.

    store.json                  says that this is a store; never changed
    blobs/sha256/AA/DIGEST      every file, under the digest of its content
    snapshots/DIGEST.json       which blobs make up which models; under its own digest, too
    heads/00000042.json         the pointer: the highest number is current

Nothing is ever overwritten. A push sends the blobs, then the snapshot, and creates the next head last; where two
operators create the same one, the store lets one of them.
"""
