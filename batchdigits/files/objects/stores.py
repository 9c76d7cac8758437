"""A client of one bucket, with credentials from where the SDKs find them."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from batchdigits.errors import MissingExtraError, UsageError, missing_extra


@cache
def open_store(scheme: str, bucket: str, seconds: int) -> Any:
    """Open obstore's client of a bucket; its credentials come from where the SDKs find them."""
    require_extra(f"{scheme}://{bucket}")
    from obstore.store import AzureStore, GCSStore, S3Store

    options: dict[str, Any] = {
        "client_options": {"timeout": timedelta(seconds=seconds), "allow_http": True},
        "retry_config": {"max_retries": 0, "retry_timeout": timedelta(seconds=seconds)},
    }
    if scheme == "gs":
        return GCSStore(bucket, **_google_config(), **options)
    if scheme == "az":
        return AzureStore(bucket, **options)
    return S3Store(bucket, **_amazon_config(), **options)


def require_extra(name: str) -> None:
    """Raise MissingExtraError without the package that makes requests."""
    try:
        import obstore  # noqa: F401  # only whether it is there
    except ImportError as error:
        raise missing_extra(f"{name}: object storage needs obstore", "cloud") from error


def _google_config() -> dict[str, Any]:
    """The emulator that Google's SDKs use, if one is named."""
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    if not emulator:
        return {}
    url = emulator if "://" in emulator else f"http://{emulator}"
    # Not `base_url` with `skip_signature`: with these, obstore 0.12 asks for a token to write.
    nobody = {"client_email": "", "private_key": "", "private_key_id": "", "disable_oauth": True}
    key = json.dumps({**nobody, "gcs_base_url": url.rstrip("/")})
    return {"config": {"service_account_key": key}}


def _amazon_config() -> dict[str, Any]:
    """What Amazon's SDKs know and obstore does not: profiles, and the endpoint of S3 alone."""
    config: dict[str, Any] = {}
    if endpoint := os.environ.get("AWS_ENDPOINT_URL_S3"):
        config["endpoint"] = endpoint
    if os.environ.get("AWS_ACCESS_KEY_ID") or os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return config
    name = os.environ.get("AWS_PROFILE")
    section = _profile(name or "default")
    if section is None:
        if name:
            raise UsageError(f"AWS_PROFILE={name!r}: no such profile in ~/.aws; list or add it")
        return config
    if region := section.get("region"):
        config["region"] = region
    if "aws_access_key_id" in section:
        keys = ("access_key_id", "secret_access_key", "session_token")
        config |= {key: section[f"aws_{key}"] for key in keys if f"aws_{key}" in section}
        return config
    if any(key.startswith(("role_arn", "sso_", "credential_process")) for key in section):
        config["credential_provider"] = _profile_provider(name or "default")
    return config


def _profile(name: str) -> dict[str, str] | None:
    """The settings of a profile in the files of Amazon's SDKs; None if neither has it."""
    import configparser

    parser = configparser.RawConfigParser()
    home = Path("~/.aws").expanduser()
    files = {
        os.environ.get("AWS_CONFIG_FILE") or home / "config": f"profile {name}",
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials": name,
    }
    settings: dict[str, str] = {}
    found = False
    for file, section in files.items():
        parser.clear()
        try:
            parser.read(file)
        except (configparser.Error, UnicodeDecodeError) as error:
            raise UsageError(f"{file}: can't be read as profiles of AWS; mend it") from error
        for each in (section, name):
            if parser.has_section(each):
                settings |= dict(parser.items(each))
                found = True
    return settings if found else None


def _profile_provider(name: str) -> Any:
    """The credentials of a profile that has no keys of its own: a role, SSO or a process."""
    try:
        import boto3
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as error:
        raise MissingExtraError(
            f"the profile {name!r} of AWS has no keys of its own, and its role or login needs "
            "boto3: pip install boto3, or give keys in the environment"
        ) from error
    return Boto3CredentialProvider(boto3.Session(profile_name=name))
