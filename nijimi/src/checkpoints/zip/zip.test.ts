import { zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { bytesSource } from "../files/byte-source.ts";
import { openZip } from "./archive.ts";

const STORED = Uint8Array.from({ length: 100 }, (_, i) => i);
const ZEROS = new Uint8Array(10_000);

function archive(): Uint8Array {
  return zipSync({ "a/stored": [STORED, { level: 0 }], "a/deflated": [ZEROS, { level: 9 }] });
}

/** A copy with some bytes written over, at positions counted from where `signature` is found for the last time. */
function patched(
  bytes: Uint8Array,
  signature: number,
  at: number,
  values: readonly number[],
): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  let found = copy.length - 4;
  while (view.getUint32(found, true) !== signature) found--;
  copy.set(values, found + at);
  return copy;
}

const DIRECTORY = 0x02014b50;
const END = 0x06054b50;

function open(bytes: Uint8Array) {
  return openZip(bytesSource(bytes, "x.zip"));
}

describe("a zip archive", () => {
  it("gives its members whole and in part", async () => {
    const zip = await open(archive());
    expect([...zip.members.keys()]).toEqual(["a/stored", "a/deflated"]);
    const stored = zip.members.get("a/stored")!;
    expect(await zip.read(stored)).toEqual(STORED);
    expect(await zip.readPart(stored, 10, 5)).toEqual(STORED.slice(10, 15));
    const deflated = zip.members.get("a/deflated")!;
    expect(await zip.read(deflated)).toEqual(ZEROS);
    expect(await zip.readPart(deflated, 9_990, 10)).toEqual(ZEROS.slice(9_990));
  });

  it("may be in the wide form (zip64)", async () => {
    const zip = await open(toZip64(zipSync({ a: [STORED, { level: 0 }] })));
    expect(await zip.read(zip.members.get("a")!)).toEqual(STORED);
  });

  it("may end in a comment", async () => {
    const bytes = new Uint8Array([...patched(archive(), END, 20, [3, 0]), 1, 2, 3]);
    expect((await open(bytes)).members.size).toBe(2);
  });

  it("is checked against its checksums, unless told not to", async () => {
    const bytes = archive();
    bytes[bytes.indexOf(50, 60)] ^= 1;
    const zip = await open(bytes);
    await expect(zip.read(zip.members.get("a/stored")!)).rejects.toThrow("checksum");
    const trusting = await openZip(bytesSource(bytes), { checksums: false });
    expect(await trusting.read(trusting.members.get("a/stored")!)).toHaveLength(100);
  });

  it.each<[string, (bytes: Uint8Array) => Uint8Array, string]>([
    ["is cut short", (b) => b.slice(0, -1), "its end with the directory is missing"],
    ["is empty", () => new Uint8Array(0), "its end with the directory is missing"],
    ["is encrypted", (b) => patched(b, DIRECTORY, 8, [1]), "encrypted"],
    ["is compressed in another way", (b) => patched(b, DIRECTORY, 10, [14]), "method 14"],
    [
      "claims what deflate cannot do",
      (b) => patched(b, DIRECTORY, 24, [0xf0, 0xff, 0xff, 0xfe]),
      "impossible",
    ],
    [
      "has members over one another",
      (b) => patched(b, DIRECTORY, 42, [10, 0]),
      "reaches into what follows",
    ],
    [
      "has members beyond its end",
      (b) => patched(b, DIRECTORY, 42, [0, 0, 0, 0x7f]),
      "reaches into what follows",
    ],
    ["counts its members wrongly", (b) => patched(b, END, 10, [3]), "claims 3"],
    [
      "has its directory elsewhere",
      (b) => patched(b, END, 16, [0xff, 0xff, 0xff, 0x0f]),
      "beyond its end",
    ],
  ])("is refused when it %s", async (_, damage, message) => {
    await expect(open(damage(archive()))).rejects.toThrow(message);
  });

  it("is refused when two members have one name", async () => {
    const bytes = archive();
    const name = new TextEncoder().encode("a/deflated");
    const other = zipSync({
      "a/stored00": [STORED, { level: 0 }],
      "a/deflated": [ZEROS, { level: 0 }],
    });
    const text = new TextDecoder("latin1").decode(other);
    for (let at = text.indexOf("a/stored00"); at >= 0; at = text.indexOf("a/stored00", at + 1))
      other.set(name, at);
    await expect(open(other)).rejects.toThrow('two members called "a/deflated"');
    expect((await open(bytes)).members.size).toBe(2);
  });

  it("is refused when a member's own header has another name", async () => {
    const bytes = archive();
    bytes[30] ^= 1;
    const zip = await open(bytes);
    await expect(zip.read(zip.members.get("a/stored")!)).rejects.toThrow(
      "does not agree with the directory",
    );
  });
});

/** The same archive of one stored member, with sizes and places in 64-bit fields. */
function toZip64(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (view.getUint32(end, true) !== END) end--;
  const offset = view.getUint32(end + 16, true);
  const nameBytes = view.getUint16(offset + 28, true);
  const entry = new Uint8Array(46 + nameBytes + 28);
  entry.set(bytes.subarray(offset, offset + 46 + nameBytes));
  const wide = new DataView(entry.buffer);
  wide.setUint16(30, 28, true);
  wide.setUint16(46 + nameBytes, 1, true);
  wide.setUint16(48 + nameBytes, 24, true);
  for (const [i, field] of [24, 20, 42].entries()) {
    wide.setBigUint64(50 + nameBytes + 8 * i, BigInt(view.getUint32(offset + field, true)), true);
    wide.setUint32(field, 0xffffffff, true);
  }
  const tail = new DataView(new ArrayBuffer(56 + 20 + 22));
  tail.setUint32(0, 0x06064b50, true);
  tail.setBigUint64(24, 1n, true);
  tail.setBigUint64(32, 1n, true);
  tail.setBigUint64(40, BigInt(entry.length), true);
  tail.setBigUint64(48, BigInt(offset), true);
  tail.setUint32(56, 0x07064b50, true);
  tail.setBigUint64(64, BigInt(offset + entry.length), true);
  tail.setUint32(76, END, true);
  for (const field of [8, 10]) tail.setUint16(76 + field, 0xffff, true);
  for (const field of [12, 16]) tail.setUint32(76 + field, 0xffffffff, true);
  return new Uint8Array([...bytes.subarray(0, offset), ...entry, ...new Uint8Array(tail.buffer)]);
}
