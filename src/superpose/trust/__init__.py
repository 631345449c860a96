"""Keys and digests: one primitive per file, standard library only."""

from __future__ import annotations

from superpose.trust.api_keys import (
    key_digest,
    keys_equal,
    mint_key,
    parse_key_id,
    read_key_file,
    write_key_file,
)
from superpose.trust.digests import sha256_bytes, sha256_file

__all__ = [
    "key_digest",
    "keys_equal",
    "mint_key",
    "parse_key_id",
    "read_key_file",
    "sha256_bytes",
    "sha256_file",
    "write_key_file",
]
