/**
 * What `torch.save` writes since 1.6, and TorchScript archives: a zip with the pickle in `NAME/data.pkl` and
 * every storage as a stored member of its own, from which only the wanted bytes are read.
 *
 * A TorchScript archive has code beside its weights (OpenAI's CLIP is released so); the code is not looked at.
 */
import { NijimiError } from "../../errors.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { checkpointPolicy } from "../pickle/policy.ts";
import { unpickle } from "../pickle/unpickle.ts";
import type { StorageRef } from "../pickle/values.ts";
import type { ZipArchive } from "../zip/archive.ts";
import type { ZipMember } from "../zip/directory.ts";
import { pickledEntries } from "./pickled-checkpoint.ts";
import type { StorageReader } from "./tensor-entry.ts";

/** The member with the pickle; its folder is named after the file. */
const PICKLE_MEMBER = /^[^/]+\/data\.pkl$/;

/** True for an archive that torch wrote. */
export function isTorchZip({ members }: ZipArchive): boolean {
  return [...members.keys()].some((name) => PICKLE_MEMBER.test(name));
}

/** Opens a checkpoint in torch's zip format. */
export async function openTorchZip(archive: ZipArchive): Promise<Checkpoint> {
  const { source } = archive;
  const pickle = findPickle(archive);
  const folder = pickle.name.slice(0, -"data.pkl".length);
  const torchScript =
    archive.members.has(`${folder}constants.pkl`) ||
    [...archive.members.keys()].some((name) => name.startsWith(`${folder}code/`));
  const used = new Map<string, StorageRef>();
  const policy = checkpointPolicy({
    name: source.name,
    torchScript,
    size: pickle.size,
    onStorage: (storage) => used.set(storage.key, storage),
  });
  const { value } = unpickle(await archive.read(pickle), policy, { name: source.name });
  const storages = await zipStorages(archive, folder, used.keys());
  return {
    format: torchScript ? "torchscript" : "torch-zip",
    name: source.name,
    ...pickledEntries(value, storages, source.name),
    close: () => source.close(),
  };
}

/** Pickles larger than this are only believed where their compression is a usual one. */
const LARGE_PICKLE_BYTES = 2 ** 22;
const MAX_PICKLE_RATIO = 20;

function findPickle({ members, source }: ZipArchive): ZipMember {
  const found = [...members.values()].filter(({ name }) => PICKLE_MEMBER.test(name));
  for (const { size, compressedSize } of found)
    if (size > LARGE_PICKLE_BYTES && size > compressedSize * MAX_PICKLE_RATIO)
      throw new NijimiError(
        "format",
        `${source.name} has a pickle that would expand from ${compressedSize} to ${size} bytes; that looks like a decompression bomb and is not read.`,
      );
  if (found.length === 1) return found[0];
  throw new NijimiError(
    "format",
    `${source.name} has ${found.length} members called data.pkl; exactly one was expected.`,
  );
}

/** Storages as members of the archive. */
async function zipStorages(
  archive: ZipArchive,
  folder: string,
  keys: Iterable<string>,
): Promise<StorageReader> {
  const { source } = archive;
  const offsets = await contentOffsets(archive, folder, keys);

  function memberOf({ key }: StorageRef): ZipMember {
    const member = archive.members.get(`${folder}data/${key}`);
    if (member) return member;
    throw new NijimiError(
      "format",
      `${source.name} has no storage ${JSON.stringify(key)}; the file is damaged.`,
    );
  }

  return {
    bigEndian: await isBigEndian(archive, folder),
    size: (storage) => memberOf(storage).size,
    read: (storage, offset, length) => archive.readPart(memberOf(storage), offset, length),
    locate: ({ key }) => {
      const offset = offsets.get(key);
      return offset === undefined || source.path === undefined
        ? undefined
        : { file: source.path, offset };
    },
  };
}

/** Where stored members begin, for files on disk: there a look at every header costs microseconds. */
async function contentOffsets(
  archive: ZipArchive,
  folder: string,
  keys: Iterable<string>,
): Promise<ReadonlyMap<string, number>> {
  const offsets = new Map<string, number>();
  if (archive.source.path === undefined) return offsets;
  for (const key of keys) {
    const member = archive.members.get(`${folder}data/${key}`);
    if (member && !member.deflated) offsets.set(key, await archive.contentOffset(member));
  }
  return offsets;
}

async function isBigEndian(archive: ZipArchive, folder: string): Promise<boolean> {
  const member = archive.members.get(`${folder}byteorder`);
  if (!member) return false;
  const order = new TextDecoder().decode(
    await archive.readPart(member, 0, Math.min(member.size, 16)),
  );
  if (order !== "little" && order !== "big")
    throw new NijimiError(
      "format",
      `${archive.source.name} has the byte order ${JSON.stringify(order)}; expected "little" or "big".`,
    );
  return order === "big";
}
