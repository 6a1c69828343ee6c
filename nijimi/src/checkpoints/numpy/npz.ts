/** NumPy's `.npz`: a zip of `.npy` files, stored (`savez`) or deflated (`savez_compressed`). */
import type { Checkpoint, Entry } from "../checkpoint.ts";
import type { ZipArchive } from "../zip/archive.ts";
import type { ZipMember } from "../zip/directory.ts";
import { arrayBytes, isPlain, tensorOfArray } from "./layout.ts";
import { readNpyHeader } from "./npy.ts";

const EXTENSION = ".npy";

/** True for an archive with arrays in it. */
export function isNpz({ members }: ZipArchive): boolean {
  return [...members.keys()].some((name) => name.endsWith(EXTENSION));
}

/** Opens an `.npz` file. Names are those of the members without `.npy`. */
export async function openNpz(archive: ZipArchive): Promise<Checkpoint> {
  const { source } = archive;
  const entries = Object.create(null) as Record<string, Entry>;
  for (const member of archive.members.values())
    if (member.name.endsWith(EXTENSION))
      entries[member.name.slice(0, -EXTENSION.length)] = await memberEntry(archive, member);
  return { format: "npz", name: source.name, metadata: {}, entries, close: () => source.close() };
}

async function memberEntry(archive: ZipArchive, member: ZipMember): Promise<Entry> {
  const { source } = archive;
  const name = `${source.name}: ${member.name}`;
  const header = await readNpyHeader(
    (length) => archive.readPart(member, 0, length),
    member.size,
    name,
  );
  const { dtype, shape, dataOffset } = header;
  const atRest = !member.deflated && isPlain(header) && source.path !== undefined;
  return {
    dtype,
    shape,
    location: atRest
      ? {
          file: source.path,
          offset: (await archive.contentOffset(member)) + dataOffset,
          length: arrayBytes(header),
        }
      : undefined,
    // The whole member, since only that can be checked against its checksum.
    read: async () => tensorOfArray(header, (await archive.read(member)).subarray(dataOffset)),
  };
}
