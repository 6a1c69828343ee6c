/** Reading members of a zip archive: whole with their checksum, or in part where they are stored plainly. */
import { Inflate, inflateSync } from "fflate";
import { NijimiError } from "../../errors.ts";
import { crc32 } from "../../internal/crc32.ts";
import type { ByteSource } from "../files/byte-source.ts";
import { damagedZip, readZipDirectory, type ZipMember } from "./directory.ts";

/** An open archive. */
export interface ZipArchive {
  readonly source: ByteSource;
  readonly members: ReadonlyMap<string, ZipMember>;
  /** Where the content of a stored member begins in the file. */
  contentOffset(member: ZipMember): Promise<number>;
  /** The whole content, checked against its CRC-32. */
  read(member: ZipMember): Promise<Uint8Array>;
  /** Part of the content. The checksum can only be checked where the part is the whole. */
  readPart(member: ZipMember, offset: number, length: number): Promise<Uint8Array>;
}

export interface ZipOptions {
  /** Check CRC-32 of what is read whole. @default true */
  readonly checksums?: boolean;
}

const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL_BYTES = 30;
/** Members that expand to more than this are only believed up to a moderate ratio. */
const LARGE_BYTES = 2 ** 26;
const MAX_LARGE_RATIO = 100;
/** Beginnings up to this length are expanded without the rest. */
const PREFIX_BYTES = 65_536;
/** Compressed bytes expanded at a time: a megabyte of content at most. */
const STEP_BYTES = 1024;

/** Opens an archive. */
export async function openZip(
  source: ByteSource,
  { checksums = true }: ZipOptions = {},
): Promise<ZipArchive> {
  const members = await readZipDirectory(source);
  const offsets = new Map<ZipMember, number>();
  // Consecutive tensors are mostly parts of one member: the last expanded one is kept.
  let expanded: { readonly member: ZipMember; readonly content: Uint8Array } | undefined;

  async function contentOffset(member: ZipMember): Promise<number> {
    const known = offsets.get(member);
    if (known !== undefined) return known;
    const offset = await readLocalHeader(source, member);
    offsets.set(member, offset);
    return offset;
  }

  async function expand(member: ZipMember): Promise<Uint8Array> {
    if (expanded?.member === member) return expanded.content;
    expanded = undefined;
    const compressed = await source.read(await contentOffset(member), member.compressedSize);
    const content = inflate(compressed, member, source.name);
    check(member, content);
    expanded = { member, content };
    return content;
  }

  /** The first bytes, without expanding the rest. */
  async function expandPrefix(member: ZipMember, length: number): Promise<Uint8Array> {
    const compressed = await source.read(await contentOffset(member), member.compressedSize);
    const prefix = inflatePrefix(
      compressed,
      length,
      `${source.name}: ${JSON.stringify(member.name)}`,
    );
    if (length === member.size) check(member, prefix);
    return prefix;
  }

  function check(member: ZipMember, content: Uint8Array): void {
    if (checksums && crc32(content) !== member.crc)
      throw new NijimiError(
        "format",
        `${source.name}: the checksum of ${JSON.stringify(member.name)} does not match; the file is damaged, or was written without checksums (then pass checksums: false).`,
      );
  }

  async function readPart(member: ZipMember, offset: number, length: number): Promise<Uint8Array> {
    if (member.deflated && offset + length <= PREFIX_BYTES && expanded?.member !== member)
      return (await expandPrefix(member, offset + length)).subarray(offset);
    if (member.deflated) return (await expand(member)).subarray(offset, offset + length);
    const bytes = await source.read((await contentOffset(member)) + offset, length);
    if (length === member.size) check(member, bytes);
    return bytes;
  }

  return {
    source,
    members,
    contentOffset,
    readPart,
    read: (member) => readPart(member, 0, member.size),
  };
}

/** Checks the header in front of a member; gives where its content begins. */
async function readLocalHeader(source: ByteSource, member: ZipMember): Promise<number> {
  const { headerOffset, compressedSize, end, nameBytes } = member;
  const where = JSON.stringify(member.name);
  const bytes = await source.read(headerOffset, LOCAL_BYTES + nameBytes);
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const name = new TextDecoder().decode(bytes.subarray(LOCAL_BYTES));
  if (
    header.getUint32(0, true) !== LOCAL_SIGNATURE ||
    header.getUint16(26, true) !== nameBytes ||
    name !== member.name
  )
    throw damagedZip(source.name, `the header of ${where} does not agree with the directory`);
  const offset = headerOffset + LOCAL_BYTES + nameBytes + header.getUint16(28, true);
  if (offset + compressedSize > end)
    throw damagedZip(source.name, `${where} reaches into what follows it`);
  return offset;
}

function inflate(compressed: Uint8Array, member: ZipMember, archive: string): Uint8Array {
  const where = JSON.stringify(member.name);
  if (member.size > LARGE_BYTES && member.size > compressed.length * MAX_LARGE_RATIO)
    throw new NijimiError(
      "format",
      `${archive}: ${where} would expand from ${compressed.length} to ${member.size} bytes; that looks like a decompression bomb and is not read.`,
    );
  const content = inflateInto(new Uint8Array(member.size), compressed, `${archive}: ${where}`);
  if (content.length !== member.size)
    throw damagedZip(
      archive,
      `${where} expands to ${content.length} bytes, expected ${member.size}`,
    );
  return content;
}

function inflateInto(out: Uint8Array, compressed: Uint8Array, where: string): Uint8Array {
  return inflating(where, () => inflateSync(compressed, { out }));
}

function inflatePrefix(compressed: Uint8Array, length: number, where: string): Uint8Array {
  const prefix = new Uint8Array(length);
  let done = 0;
  const stream = new Inflate((chunk) => {
    prefix.set(chunk.subarray(0, length - done), done);
    done = Math.min(length, done + chunk.length);
  });
  inflating(where, () => {
    for (let at = 0; at < compressed.length && done < length; at += STEP_BYTES)
      stream.push(compressed.subarray(at, at + STEP_BYTES), at + STEP_BYTES >= compressed.length);
  });
  if (done < length)
    throw new NijimiError(
      "format",
      `${where} expands to ${done} bytes, expected ${length} at least.`,
    );
  return prefix;
}

function inflating<T>(where: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    throw new NijimiError("format", `${where} is not a valid deflate stream.`, { cause });
  }
}
