from __future__ import annotations

import pytest

from controlroom.redaction import is_sensitive_name

TELLING = """
password Password PASSWORD passwd pwd pw db_pw userPw pass passphrase passcode jwt auth_jwt bearer db_password DB_PASSWORD DB_PASS smtp_pass MYSQL_PWD PGPASSWORD
dbpassword userPassword password1 new_password next_password password_hash key_passphrase
secret secrets client_secret clientSecret CLIENT_SECRET clientsecret webhook_secret SecretString AWS_SECRET_ACCESS_KEY
secretAccessKey public_secret secret2
token Token access_token accessToken refresh_token id_token X-Auth-Token X-CSRFToken authtoken sessiontoken X-Vault-Token
X-Amz-Security-Token AWS_SESSION_TOKEN github.token next_of_kin_token tokentoken
apikey apiKey ApiKey APIKey api_key API_KEY X-Api-Key x-goog-api-key api.key apikey2 myapikey Ocp-Apim-api-key
access_key private_key privateKey secret_key shared_key account_key AccountKey SharedAccessKey X-Auth-Key signing_key
encryption_key master_key accesskey secretkey privatekey
Authorization authorization Proxy-Authorization proxy_authorization
credential credentials Credentials aws_credentials X-Amz-Credential mycredentials
cookie Cookie Set-Cookie set-cookie cookies sessioncookie
signature X-Amz-Signature X-Goog-Signature sig SharedAccessSignature
"""
HARMLESS = """
page_token pageToken next_token NextToken nextPageToken NextContinuationToken pagetoken nexttoken nextpagetoken
continuation_token StartingToken resume_token sync_token cursor_token fencing_token commit_token max_token public_token
tokens tokens_used token_count token_type token_url token_uri token_endpoint token_expires_at token_ttl token_expires_in
max_tokens tokenizer
secret_name secretName secret_arn SecretId secret_version secrets_dir secrets_file secret_path client_secret_file
password_file password_policy password_length passed passes passenger passenger_count compass bypass
access_key_id AWS_ACCESS_KEY_ID key_id api_key_id api_key_name apikey_count signature_version cookie_policy
credentials_path credential_type credentials_file
key keys sort_key partition_key primary_key foreign_key idempotency_key dedupe_key public_key keyboard monkey turkey hockey
author authors authored_by authority authenticated auth
cursor sign signal sigma design assign signed_headers X-Amz-SignedHeaders significance
secretary secretariat tokyo token_s cooking
page size url status_code elapsed_s run_id event level timestamp 7 ___
"""


@pytest.mark.parametrize("name", TELLING.split())
def test_telling_names_are_told(name: str) -> None:
    assert is_sensitive_name(name)


@pytest.mark.parametrize("name", HARMLESS.split())
def test_harmless_names_stay_readable(name: str) -> None:
    assert not is_sensitive_name(name)


@pytest.mark.parametrize("name", ["", " ", "пароль", "\ud800", "密码"])
def test_names_without_a_latin_word_are_no_trouble(name: str) -> None:
    assert not is_sensitive_name(name)


def test_of_an_endless_name_the_end_is_judged() -> None:
    assert is_sensitive_name("x" * 10**6 + "_password")
    assert not is_sensitive_name("password_" + "x" * 10**6)
    assert is_sensitive_name("password_" + "x" * 191)
    assert not is_sensitive_name("password_" + "x" * 193)
