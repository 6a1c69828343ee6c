/** Reading protocol buffers: just the wire format, fields in the order of the file. */
import { NijimiError } from "../errors.ts";

/** A field: a number for wire types 0, 1 and 5 (the last two as little-endian bits in `bytes` too), bytes for type 2. */
export interface Field {
  readonly number: number;
  /** Value of a varint; 0 otherwise. Larger than 2^53 loses precision. */
  readonly value: number;
  /** Content of a length-delimited or fixed-size field; empty for a varint. */
  readonly bytes: Uint8Array;
}

/**
 * The fields of a message.
 *
 * @throws NijimiError `format` when a field reaches beyond the end, or groups are used
 */
export function* readFields(message: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= message.length) break;
      const byte = message[at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new NijimiError("format", `protobuf: a number at byte ${at} does not end.`);
  };
  const take = (length: number): Uint8Array => {
    if (length > message.length - at)
      throw new NijimiError(
        "format",
        `protobuf: a field of ${length} bytes at byte ${at} of ${message.length}; the file is cut off or damaged.`,
      );
    at += length;
    return message.subarray(at - length, at);
  };
  const nothing = new Uint8Array(0);
  while (at < message.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        yield { number, value: varint(), bytes: nothing };
        break;
      case 1:
        yield { number, value: 0, bytes: take(8) };
        break;
      case 2:
        yield { number, value: 0, bytes: take(varint()) };
        break;
      case 5:
        yield { number, value: 0, bytes: take(4) };
        break;
      default:
        throw new NijimiError(
          "format",
          `protobuf: wire type ${tag % 8} at byte ${at}; only 0, 1, 2 and 5 are in use.`,
        );
    }
  }
}

/** A fixed 32-bit field as a float. */
export function float32Of({ bytes }: Field): number {
  return bytes.length === 4
    ? new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true)
    : 0;
}

const UTF8 = new TextDecoder();

/** A length-delimited field as text. */
export function textOf({ bytes }: Field): string {
  return UTF8.decode(bytes);
}
