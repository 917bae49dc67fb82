"""The client of the Hugging Face Hub: imported on use, with its errors in one line."""

import contextlib
import re

NEEDED = (
    "Names of the Hugging Face Hub need huggingface_hub. Received: {}. Install it: "
    'pip install "vgg_tf[hub]"'
)


def check_push_name(name):
    """Check the name of a repository to push to, without a connection.

    Args:
        name: `owner/name`.

    Raises:
        ValueError: The name is not of this form.
    """
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name):
        raise ValueError(
            f"--push must be owner/name. Received: --push {name}. Try --push you/flowers."
        )


def import_client():
    """Return the module huggingface_hub, or raise a ModuleNotFoundError with the pip command."""
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(NEEDED.format(error), name=error.name) from None
    return huggingface_hub


@contextlib.contextmanager
def explaining(word):
    """Turn the client's errors, which have several lines, into one line with the remedy."""
    from huggingface_hub import constants, errors

    endpoint = constants.ENDPOINT
    cached = "Offline mode is on (HF_HUB_OFFLINE)" if constants.HF_HUB_OFFLINE else "no connection"
    try:
        yield
    except errors.GatedRepoError:
        raise PermissionError(
            f"{word} must be open to you. Received: a gated repository. Accept its terms on "
            f"{endpoint}, then log in with hf auth login, or set HF_TOKEN."
        ) from None
    except errors.RepositoryNotFoundError:
        raise FileNotFoundError(
            f"{word} must be a repository of models on {endpoint}. Received: none of this name, or "
            "a private one. Check the name, or log in with hf auth login."
        ) from None
    except errors.RevisionNotFoundError:
        raise FileNotFoundError(
            f"{word} must name a branch, a tag or a commit. Received: a revision that the "
            "repository does not have. Check it, or remove @ and what follows."
        ) from None
    except errors.RemoteEntryNotFoundError as error:
        raise FileNotFoundError(
            f"{word} must have model.safetensors. Received: {_first_line(error)}. Name another "
            "repository, or a file of it: hf://owner/name/FILE."
        ) from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        raise ConnectionError(
            f"{word} must be in the cache, or {endpoint} must be reachable. Received: {cached}. "
            "Check the network, or download the file in another way and give its path."
        ) from None
    except errors.HfHubHTTPError as error:
        raise _make_answer_error(word, endpoint, error) from None
    except errors.HTTPError as error:
        raise ConnectionError(
            f"{word} must be transferred whole. Received: {_first_line(error)}. Run the same "
            "command again."
        ) from None


def _make_answer_error(word, endpoint, error):
    """Return the error for an answer of the Hub that has no class of its own."""
    status, said = error.response.status_code, error.server_message or _first_line(error)
    said = " ".join(str(said).split())[:300].rstrip(".")
    if status in (401, 403):
        return PermissionError(
            f"{word} must be open to you on {endpoint}. Received: {status}, {said}. Log in with hf "
            "auth login, or set HF_TOKEN to a token that may write."
        )
    if status == 400:
        return ValueError(
            f"{word} must be accepted by {endpoint}. Received: {said}. Correct README.md, or what "
            "the answer names."
        )
    return ConnectionError(
        f"{word}: {endpoint} must answer. Received: {status}, {said}. Try again later."
    )


def _first_line(error):
    return " ".join((str(error) or type(error).__name__).split())[:200].rstrip(".")
