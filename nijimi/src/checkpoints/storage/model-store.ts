/**
 * Models that the browser keeps for this site, in its private file system (OPFS): loaded once from picked files or
 * URLs, in pieces, so that neither an interruption nor a closed tab loses what has come. Each model is a folder with a
 * manifest that says what belongs to it. Files are written from workers; listing and removing work anywhere.
 */
import { isNijimiError, NijimiError, unknownName } from "../../errors.ts";
import { blobSource } from "../files/byte-source.ts";
import { checkRelativePath, filesFolder, type Folder } from "../files/folder.ts";
import type { HttpOptions } from "../files/http-source.ts";
import { openCheckpoint } from "../open-checkpoint.ts";
import { readStored, writeText } from "./access.ts";
import { requireRoom } from "./room.ts";
import { type FileProgress, type FileRecord, saveFile } from "./save-file.ts";

/** A file of a model that shall be stored. */
export interface ModelFile {
  /** Relative path in the model, e.g. `"unet/config.json"`; of a single file its name. */
  readonly path: string;
  /** A URL, or what the user picked. */
  readonly from: string | Blob;
  /** SHA-256 that the content must have, in lower-case hexadecimal. @default unchecked */
  readonly sha256?: string;
}

/** A model that is stored, perhaps in part. */
export interface StoredModel {
  readonly name: string;
  readonly files: readonly string[];
  /** Bytes in place. */
  readonly bytes: number;
  /** Bytes in all, where known. */
  readonly size?: number;
  readonly isComplete: boolean;
}

/** How far a model is stored. */
export interface StoreProgress {
  readonly type: "store-progress";
  readonly model: string;
  /** Path of the file that is being worked on. */
  readonly file: string;
  readonly phase: FileProgress["phase"];
  /** Bytes of the file so far, with those of earlier attempts. */
  readonly done: number;
  /** Bytes of the file, where the server says. */
  readonly size?: number;
  readonly fileIndex: number;
  readonly fileCount: number;
}

/** How {@link ModelStore.save} loads. */
export interface StoreOptions {
  /** For URLs: headers, signal. */
  readonly http?: HttpOptions;
}

/** See the file's header. */
export interface ModelStore {
  list(): Promise<readonly StoredModel[]>;
  /**
   * Stores a model, or goes on with one. Files that are complete are not loaded again.
   *
   * @throws NijimiError `file` when the storage is too small (said before anything is loaded, where sizes are known) or
   *   another tab is at it, `network`, `cancelled`, `format` when a file is damaged, `unsupported` outside of a worker
   */
  save(
    name: string,
    files: readonly ModelFile[],
    options?: StoreOptions,
  ): AsyncGenerator<StoreProgress, StoredModel, undefined>;
  /**
   * A stored model, as `loadPipeline` takes it: the file, or the folder of several.
   *
   * @throws NijimiError `option` for a name that is not there, `file` when it is incomplete
   */
  open(name: string): Promise<File | Folder>;
  remove(name: string): Promise<void>;
}

/** Where a store lives. */
export interface ModelStoreOptions {
  /** Folder in the site's file system. @default "nijimi-models" */
  readonly folder?: string;
  /** @default navigator.storage */
  readonly storage?: StorageManager;
}

interface Manifest {
  readonly schema: typeof SCHEMA;
  readonly files: readonly FileRecord[];
}

const SCHEMA = "nijimi/stored-model@1";
const MANIFEST = "manifest.json";
/** Files that are opened once they are complete: an error page in the place of weights is noticed. */
const WEIGHTS = /\.(safetensors|ckpt|pt|pth|bin|gguf)$/i;

/**
 * Opens the store of this site.
 *
 * @throws NijimiError `unsupported` where the browser has no private file system (private windows of some)
 * @example
 * const store = await openModelStore();
 * for await (const { done, size } of store.save("sd15", [{ path: "sd15.safetensors", from: url }])) show(done, size);
 * const pipeline = await loadPipeline(await store.open("sd15"));
 */
export async function openModelStore({
  folder = "nijimi-models",
  storage = navigator.storage,
}: ModelStoreOptions = {}): Promise<ModelStore> {
  const root = await storage
    .getDirectory()
    .then((top) => top.getDirectoryHandle(folder, { create: true }))
    .catch((cause: unknown) => {
      throw new NijimiError(
        "unsupported",
        "This browser keeps no files for this site (a private window, or storage switched off). Models can still be opened from files, without storing them.",
        { cause },
      );
    });
  const folderOf = (name: string, create: boolean): Promise<FileSystemDirectoryHandle> =>
    root.getDirectoryHandle(encodeURIComponent(name), { create });
  const names = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const name of root.keys()) found.push(decodeURIComponent(name));
    return found.sort();
  };
  const existing = async (name: string): Promise<FileSystemDirectoryHandle> => {
    const known = await names();
    if (!known.includes(name)) throw unknownName("stored model", name, known);
    return folderOf(name, false);
  };

  return {
    async list() {
      const models: StoredModel[] = [];
      for (const name of await names())
        models.push(await describe(name, await folderOf(name, false)));
      return models;
    },
    async *save(name, files, { http = {} } = {}) {
      if (files.length === 0) throw new NijimiError("option", `${name}: no files to store.`);
      for (const { path } of files) checkRelativePath(path, name);
      const model = await folderOf(name, true);
      const records = await recordsFor(model, files);
      await requireRoom(name, await missingBytes(model, files), storage);
      for (const [i, { from, path }] of files.entries()) {
        const remember = async (record: FileRecord) => {
          records[i] = record;
          await writeManifest(model, records);
        };
        if (records[i].isComplete) continue;
        const saving = saveFile(model, fileName(path), from, records[i], remember, {
          http,
          storage,
        });
        let step = await saving.next();
        for (; step.done !== true; step = await saving.next())
          yield {
            type: "store-progress",
            model: name,
            file: path,
            fileIndex: i,
            fileCount: files.length,
            ...step.value,
          };
        await requireReadable(model, path);
        await remember({ ...step.value, isComplete: true });
      }
      return describe(name, model);
    },
    async open(name) {
      const model = await existing(name);
      const { isComplete, bytes, files } = await describe(name, model);
      if (!isComplete)
        throw new NijimiError(
          "file",
          `${name} is stored in part (${bytes} bytes); load it again to go on, or remove it.`,
        );
      const blobs = new Map<string, File>();
      for (const path of files) blobs.set(path, (await readStored(model, fileName(path))) as File);
      const [path] = files;
      const isSingle = files.length === 1 && !path.includes("/");
      return isSingle ? new File([blobs.get(path) as File], path) : filesFolder(blobs, name);
    },
    async remove(name) {
      await existing(name);
      await root.removeEntry(encodeURIComponent(name), { recursive: true });
    },
  };
}

/** Paths as names of files in one folder. */
function fileName(path: string): string {
  return `file ${encodeURIComponent(path)}`;
}

/** What is known of the wanted files: complete ones only where they came from the same place. */
async function recordsFor(
  model: FileSystemDirectoryHandle,
  files: readonly ModelFile[],
): Promise<FileRecord[]> {
  const known = await readManifest(model);
  const records: FileRecord[] = [];
  for (const { path, from, sha256 } of files) {
    const source = typeof from === "string" ? from : "name" in from ? String(from.name) : path;
    const size = typeof from === "string" ? undefined : from.size;
    const old = known.find((record) => record.path === path);
    const isSame =
      old?.source === source &&
      (sha256 === undefined || old.sha256 === sha256) &&
      (size === undefined || old.size === size);
    records.push(isSame ? old : { path, source, size, sha256, isComplete: false });
  }
  return records;
}

/** Bytes of picked files that are not there yet; those of URLs are not known now. */
async function missingBytes(
  model: FileSystemDirectoryHandle,
  files: readonly ModelFile[],
): Promise<number> {
  let missing = 0;
  for (const { path, from } of files) {
    if (typeof from === "string") continue;
    const stored = await readStored(model, fileName(path));
    missing += Math.max(0, from.size - (stored?.size ?? 0));
  }
  return missing;
}

async function describe(name: string, model: FileSystemDirectoryHandle): Promise<StoredModel> {
  const records = await readManifest(model);
  let bytes = 0;
  let areThere = records.length > 0;
  for (const { path, size, isComplete } of records) {
    const file = await readStored(model, fileName(path));
    bytes += file?.size ?? 0;
    areThere &&= isComplete && file?.size === size;
  }
  const sizes = records.map(({ size }) => size);
  return {
    name,
    files: records.map(({ path }) => path),
    bytes,
    size: sizes.includes(undefined)
      ? undefined
      : sizes.reduce<number>((sum, size) => sum + Number(size), 0),
    isComplete: areThere,
  };
}

/** None where there is no manifest, or one that a crash has cut short. */
async function readManifest(model: FileSystemDirectoryHandle): Promise<readonly FileRecord[]> {
  const text = await (await readStored(model, MANIFEST))?.text();
  try {
    const { schema, files } = JSON.parse(text ?? "{}") as Partial<Manifest>;
    return schema === SCHEMA && files !== undefined ? files : [];
  } catch {
    return [];
  }
}

function writeManifest(
  model: FileSystemDirectoryHandle,
  files: readonly FileRecord[],
): Promise<void> {
  const manifest: Manifest = { schema: SCHEMA, files };
  return writeText(model, MANIFEST, JSON.stringify(manifest));
}

/** Opens weights, which compares their header with their length; what no checkpoint is, is removed. */
async function requireReadable(model: FileSystemDirectoryHandle, path: string): Promise<void> {
  const file = await readStored(model, fileName(path));
  if (!WEIGHTS.test(path) || file === undefined) return;
  try {
    await (await openCheckpoint(blobSource(file, path))).close();
  } catch (error) {
    if (isNijimiError(error)) await model.removeEntry(fileName(path));
    throw error;
  }
}
