"""Keys, digests and signatures: one primitive per file, standard library only."""

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
from superpose.trust.webhook_signatures import (
    is_signed_by,
    read_root,
    root_from,
    secret_digest,
    sign_webhook,
    webhook_secret,
)

__all__ = [
    "is_signed_by",
    "key_digest",
    "keys_equal",
    "mint_key",
    "parse_key_id",
    "read_key_file",
    "read_root",
    "root_from",
    "secret_digest",
    "sha256_bytes",
    "sha256_file",
    "sign_webhook",
    "webhook_secret",
    "write_key_file",
]
