/**
 * The central directory of a zip archive (PKWARE APPNOTE 6.3.10, with zip64). Members are looked up by
 * their whole name and never written anywhere; what two readers could understand differently is refused.
 */
import { NijimiError } from "../../errors.ts";
import type { ByteSource } from "../files/byte-source.ts";

/** A member of an archive, as the central directory describes it. */
export interface ZipMember {
  readonly name: string;
  readonly deflated: boolean;
  readonly crc: number;
  /** Bytes in the archive. */
  readonly compressedSize: number;
  /** Bytes of the content. */
  readonly size: number;
  /** Where its local header begins. */
  readonly headerOffset: number;
  /** Bytes of its name. */
  readonly nameBytes: number;
  /** Where the next member or the directory begins: its data end before that. */
  readonly end: number;
}

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const ZIP64_END_SIGNATURE = 0x06064b50;
const ZIP64_END_BYTES = 56;
const ZIP64_LOCATOR_SIGNATURE = 0x07064b50;
const ZIP64_LOCATOR_BYTES = 20;
const MEMBER_SIGNATURE = 0x02014b50;
const MEMBER_BYTES = 46;
const LOCAL_HEADER_BYTES = 30;
const MAX_COMMENT_BYTES = 0xffff;
const MAX_DIRECTORY_BYTES = 2 ** 28;
/** A deflate stream cannot expand more than this. */
const MAX_DEFLATE_RATIO = 1032;

/** The error for an archive that is damaged. */
export function damagedZip(name: string, problem: string): NijimiError {
  return new NijimiError("format", `${name} is not a valid zip archive: ${problem}.`);
}

/**
 * Reads the directory of an archive.
 *
 * @throws NijimiError `format` for damage, duplicate names and impossible sizes; `unsupported` for encryption
 */
export async function readZipDirectory(
  source: ByteSource,
): Promise<ReadonlyMap<string, ZipMember>> {
  const { offset, size, count } = await findDirectory(source);
  if (size > MAX_DIRECTORY_BYTES)
    throw damagedZip(source.name, `its directory would have ${size} bytes`);
  const raw = parseDirectory(await source.read(offset, size), count, source.name);
  const members = new Map<string, ZipMember>();
  for (const member of withEnds(raw, offset, source.name)) {
    if (members.has(member.name))
      throw damagedZip(
        source.name,
        `it has two members called ${JSON.stringify(member.name)}, and which one is meant is anyone's guess`,
      );
    members.set(member.name, member);
  }
  return members;
}

interface DirectoryPlace {
  readonly offset: number;
  readonly size: number;
  /** Number of members. */
  readonly count: number;
}

async function findDirectory(source: ByteSource): Promise<DirectoryPlace> {
  const { size: fileSize, name } = source;
  const tailBytes = Math.min(fileSize, END_BYTES + MAX_COMMENT_BYTES + ZIP64_LOCATOR_BYTES);
  const tail = viewOf(await source.read(fileSize - tailBytes, tailBytes));
  const end = findEnd(tail);
  if (end === undefined)
    throw damagedZip(name, "its end with the directory is missing; it is cut short");
  const place = {
    count: tail.getUint16(end + 10, true),
    size: tail.getUint32(end + 12, true),
    offset: tail.getUint32(end + 16, true),
  };
  const endOffset = fileSize - tailBytes + end;
  const wide = await findWideDirectory(source, tail, end);
  const { count, size, offset, before } = wide ?? { ...place, before: endOffset };
  if (tail.getUint16(end + 4, true) !== 0 && !wide)
    throw damagedZip(name, "it is one part of several");
  if (offset + size > before) throw damagedZip(name, "its directory would reach beyond its end");
  return { offset, size, count };
}

/** Position of the end record whose comment reaches to the end of the file. */
function findEnd(tail: DataView): number | undefined {
  for (let at = tail.byteLength - END_BYTES; at >= 0; at--)
    if (
      tail.getUint32(at, true) === END_SIGNATURE &&
      at + END_BYTES + tail.getUint16(at + 20, true) === tail.byteLength
    )
      return at;
  return undefined;
}

/** The zip64 directory, where there is one: `before` is where its end record begins. */
async function findWideDirectory(
  source: ByteSource,
  tail: DataView,
  end: number,
): Promise<(DirectoryPlace & { readonly before: number }) | undefined> {
  const locator = end - ZIP64_LOCATOR_BYTES;
  if (locator < 0 || tail.getUint32(locator, true) !== ZIP64_LOCATOR_SIGNATURE) return undefined;
  const before = unsigned64(tail, locator + 8);
  if (before + ZIP64_END_BYTES > source.size)
    throw damagedZip(source.name, "its zip64 end lies beyond its end");
  const record = viewOf(await source.read(before, ZIP64_END_BYTES));
  if (record.getUint32(0, true) !== ZIP64_END_SIGNATURE)
    throw damagedZip(source.name, "its zip64 end is missing");
  return {
    before,
    count: unsigned64(record, 32),
    size: unsigned64(record, 40),
    offset: unsigned64(record, 48),
  };
}

type RawMember = Omit<ZipMember, "end">;

function parseDirectory(bytes: Uint8Array, count: number, name: string): RawMember[] {
  const view = viewOf(bytes);
  const members: RawMember[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + MEMBER_BYTES > bytes.length || view.getUint32(at, true) !== MEMBER_SIGNATURE)
      throw damagedZip(name, `entry ${members.length} of its directory is damaged`);
    const nameBytes = view.getUint16(at + 28, true);
    const extraBytes = view.getUint16(at + 30, true);
    const next = at + MEMBER_BYTES + nameBytes + extraBytes + view.getUint16(at + 32, true);
    if (next > bytes.length) throw damagedZip(name, "its directory is cut short");
    members.push(parseMember(view, at, name));
    at = next;
  }
  if (members.length !== count)
    throw damagedZip(name, `its directory has ${members.length} entries and claims ${count}`);
  return members;
}

function parseMember(view: DataView, at: number, archive: string): RawMember {
  const nameBytes = view.getUint16(at + 28, true);
  const encoded = new Uint8Array(view.buffer, view.byteOffset + at + MEMBER_BYTES, nameBytes);
  const name = new TextDecoder().decode(encoded);
  const flags = view.getUint16(at + 8, true);
  if ((flags & 0x41) !== 0)
    throw new NijimiError(
      "unsupported",
      `${archive} is an encrypted zip archive (${JSON.stringify(name)}); unpack and save it without a password.`,
    );
  const method = view.getUint16(at + 10, true);
  if (method !== 0 && method !== 8)
    throw new NijimiError(
      "unsupported",
      `${archive} has ${JSON.stringify(name)} compressed by method ${method}; only stored (0) and deflated (8) members are read.`,
    );
  const member = {
    name,
    nameBytes,
    deflated: method === 8,
    crc: view.getUint32(at + 16, true),
    ...wideFields(view, at, archive),
  };
  checkSizes(member, archive);
  return member;
}

/** Sizes and offset; where they are all ones, the zip64 extra field has them, in this order. */
function wideFields(
  view: DataView,
  at: number,
  archive: string,
): Pick<ZipMember, "size" | "compressedSize" | "headerOffset"> {
  const extra = findExtra(view, at, 0x0001);
  let from = extra.begin;
  const field = (place: number): number => {
    const value = view.getUint32(at + place, true);
    if (value !== 0xffffffff) return value;
    if (from + 8 > extra.end) throw damagedZip(archive, "a zip64 field is missing");
    from += 8;
    return unsigned64(view, from - 8);
  };
  const size = field(24);
  const compressedSize = field(20);
  return { size, compressedSize, headerOffset: field(42) };
}

/** Where the content of an extra field begins and ends; empty when there is none. */
function findExtra(
  view: DataView,
  at: number,
  wanted: number,
): { readonly begin: number; readonly end: number } {
  let from = at + MEMBER_BYTES + view.getUint16(at + 28, true);
  const end = from + view.getUint16(at + 30, true);
  while (from + 4 <= end) {
    const next = from + 4 + view.getUint16(from + 2, true);
    if (view.getUint16(from, true) === wanted) return { begin: from + 4, end: Math.min(next, end) };
    from = next;
  }
  return { begin: end, end };
}

function checkSizes(
  { name, deflated, compressedSize, size }: Omit<RawMember, "end">,
  archive: string,
): void {
  const where = JSON.stringify(name);
  if (!deflated && size !== compressedSize)
    throw damagedZip(
      archive,
      `${where} is stored in ${compressedSize} bytes but should have ${size}`,
    );
  if (deflated && size > compressedSize * MAX_DEFLATE_RATIO)
    throw damagedZip(
      archive,
      `${where} claims to expand from ${compressedSize} to ${size} bytes, which is impossible`,
    );
}

/** Members end where the next one begins; overlapping ones are how small archives expand to huge ones. */
function withEnds(
  members: readonly RawMember[],
  directoryOffset: number,
  archive: string,
): ZipMember[] {
  const sorted = [...members].sort((a, b) => a.headerOffset - b.headerOffset);
  return sorted.map((member, i) => {
    const end = sorted[i + 1]?.headerOffset ?? directoryOffset;
    if (member.headerOffset + LOCAL_HEADER_BYTES + member.nameBytes + member.compressedSize > end)
      throw damagedZip(
        archive,
        `${JSON.stringify(member.name)} reaches into what follows it, or beyond the end of the file`,
      );
    return { ...member, end };
  });
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Inexact beyond 2^53, where no file reaches. */
function unsigned64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}
