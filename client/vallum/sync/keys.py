"""A source's keys on this machine: got from wraps, checked against what was signed, kept (client.md §4.6).

::

    STATE/<source>/keys/<list>.<generation>.pepper            32 bytes: readers look things up with it
    STATE/<source>/keys/<stream>.<generation>.<epoch>.epoch   epoch key, decoy seed, 0600: for syncing only

A wrap lies outside TUF, and anybody can seal one to a key that he knows: nothing of it is stored or used
before both commitments, which TUF has verified, match.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vallum.access import FOLDER_MODE, table_mode
from vallum.durable import clear_way, make_folder, os_errors, write_durable
from vallum.errors import ConfigError, DataError, NotEntitledError, StorageError
from vallum.format.charter import Charter, split_stream
from vallum.format.epoch import Epoch, check_epoch_key
from vallum.format.head import Head
from vallum.format.seal import KEY_BYTES
from vallum.format.wrap import SEED_BYTES, Secrets, open_wrap, wrap_name
from vallum.pepper import epoch_path, pepper_path, read_pepper
from vallum.recipient import PASSPHRASE_VARIABLE, read_key
from vallum.regular import NotRegularError, read_regular
from vallum.sync.fetch import AbsentError, Fetcher


@dataclass(frozen=True, slots=True)
class SourceKeys:
    """Where a source's keys lie, and whose they are.

    Attributes:
        state_dir, source: the keys are below them.
        recipient: file of the private key; ``None`` if the configuration names none.
        fetcher: the way to the wraps.
    """

    state_dir: Path
    source: str
    recipient: Path | None
    fetcher: Fetcher

    def pepper(self, stream: str, charter: Charter, head: Head) -> bytes:
        """The list's pepper, fetched with the newest epoch's wrap if it is not held; empty if it is public.

        Raises:
            NotEntitledError: there is no wrap for this recipient.
            ConfigError: the list is encrypted, and there is no key to open wraps with.
            DataError: a wrap is refused.
            UnavailableError: the store or this disk does not do its part.
        """
        if charter.pepper is None:
            return b""
        # The newest epoch's key is needed for whatever comes; who was revoked learns it here.
        self.epoch_key(stream, charter, head, max(head.epochs))
        return read_pepper(self.state_dir, self.source, stream, charter)

    def epoch_key(self, stream: str, charter: Charter, head: Head, number: int) -> bytes:
        """One epoch's key; errors as of :meth:`pepper`."""
        epoch, commitment = Epoch(charter.uid, stream, head.generation, number), head.epochs[number]
        held = self._held(epoch, commitment)
        if held is not None and self._has_pepper(stream, charter):
            return held
        secrets = self._fetch(epoch, charter, commitment)
        make_folder(self._folder, FOLDER_MODE)
        pepper, key = pepper_path(self.state_dir, self.source, stream, charter), self._file(epoch)
        for path in (pepper, key):
            clear_way(path)
        write_durable(pepper, [secrets.pepper], mode=table_mode(self.state_dir))
        write_durable(key, [secrets.key + secrets.seed], mode=0o600)
        return secrets.key

    @property
    def _folder(self) -> Path:
        return self.state_dir / self.source / "keys"

    def _file(self, epoch: Epoch) -> Path:
        return epoch_path(self.state_dir, self.source, epoch.stream, epoch.generation, epoch.number)

    def _held(self, epoch: Epoch, commitment: str) -> bytes | None:
        """The key on this disk; a damaged file counts as none."""
        path = self._file(epoch)
        with os_errors(path, "read"):
            try:
                data = read_regular(path)
            except (FileNotFoundError, NotRegularError):
                return None
        try:
            check_epoch_key(epoch, data[:KEY_BYTES], commitment)
        except DataError:
            return None
        return data[:KEY_BYTES] if len(data) == KEY_BYTES + SEED_BYTES else None

    def _has_pepper(self, stream: str, charter: Charter) -> bool:
        try:
            return bool(read_pepper(self.state_dir, self.source, stream, charter))
        except (StorageError, DataError):
            return False

    def _fetch(self, epoch: Epoch, charter: Charter, commitment: str) -> Secrets:
        if self.recipient is None:
            raise ConfigError(
                f"{epoch.stream} is encrypted, and source {self.source} names no recipient key",
                hint='make one with `vallum keygen FILE`, put recipient = "FILE" into the source, and send '
                f"the line that it prints to {charter.publisher or 'the publisher'}",
            )
        if charter.pepper is None:
            raise ConfigError(f"{epoch.stream} is public: nothing is wrapped")
        private = read_key(self.recipient, os.environ.get(PASSPHRASE_VARIABLE, ""))
        public = private.public()
        try:
            data = self.fetcher.read(wrap_name(commitment, public))
            return open_wrap(data, private, epoch, commitment, charter.pepper)
        except AbsentError:
            name, edition = split_stream(epoch.stream)
            others = [f"{name}.{other}" for other in charter.editions if other != edition]
            raise NotEntitledError(
                f"{epoch.stream}: the key in {self.recipient} ({public.fingerprint()[:19]} …) is not let "
                "into this edition: not added yet, or revoked",
                hint=f"send {charter.publisher or 'the publisher'} what "
                f"`vallum keygen {self.recipient} --show` prints, and ask for {epoch.stream}"
                + (f"; who was let into {' or '.join(others)} names that in `lists`" if others else ""),
            ) from None
        except DataError as error:  # too large among it
            # What a wrap must be is said without names; here it is known whom to call.
            said = error.hint or "call the publisher: the wrap is damaged; the last good list stays in force"
            error.hint = f"{said} (the publisher is {charter.publisher})" if charter.publisher else said
            raise
