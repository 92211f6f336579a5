"""CRC32C against published values, with and without the accelerator."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_models.formats._crc32c import crc32c, crc32c_in_python, masked_crc32c

# RFC 3720, appendix B.4
VECTORS = [
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
    (b"123456789", 0xE3069283),
    (b"", 0),
]

LENGTHS = [0, 1, 3, 2047, 2048, 2049, 10_000, 65_535, 65_536, 300_001]


@pytest.mark.parametrize(("data", "crc"), VECTORS)
def test_published_values(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc32c_in_python(data) == crc


def bit_by_bit(data: bytes) -> int:
    """The definition, as slow as it is plain."""
    register = 0xFFFFFFFF
    for octet in data:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ 0x82F63B78 * (register & 1)
    return register ^ 0xFFFFFFFF


@pytest.mark.parametrize("length", LENGTHS)
def test_vectors_of_any_length_agree_with_the_definition(length: int) -> None:
    data = Random(length).randbytes(length)
    assert crc32c_in_python(data) == bit_by_bit(data)
    assert crc32c(data) == crc32c_in_python(data)


@given(st.binary(max_size=200), st.integers(0, 200), st.sampled_from([0, 5000]))
def test_a_checksum_can_be_continued(data: bytes, cut: int, more: int) -> None:
    data += Random(0).randbytes(more)
    for compute in (crc32c, crc32c_in_python):
        assert compute(data[cut:], compute(data[:cut])) == compute(data)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_will_do(kind: type[bytes]) -> None:
    assert crc32c(kind(b"123456789")) == 0xE3069283
    assert crc32c(kind(b"")) == 0


def test_the_mask() -> None:
    # leveldb util/crc32c_test.cc holds that masking changes a checksum, twice again
    crc = crc32c(b"foo")
    assert len({crc, masked_crc32c(b"foo"), masked_crc32c(crc.to_bytes(4, "little"))}) == 3
    assert masked_crc32c(b"") == 0xA282EAD8
