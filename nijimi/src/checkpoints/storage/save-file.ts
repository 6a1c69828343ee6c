/** One file into the browser's storage, from where it was interrupted, and checked at the end. */
import { NijimiError } from "../../errors.ts";
import { sha256 } from "../../internal/sha256.ts";
import type { HttpOptions } from "../files/http-source.ts";
import { type FileAccess, openAccess } from "./access.ts";
import { brokenOff, openOrigin } from "./origin.ts";
import { noRoom, requireRoom, showBytes, storageRoom } from "./room.ts";

/** What is known of a file before it is complete. */
export interface FileRecord {
  /** Relative path in the model. */
  readonly path: string;
  /** URL, or name of the file that was picked. */
  readonly source: string;
  /** Bytes in all, where known. */
  readonly size?: number;
  readonly tag?: string;
  /** Lower-case hexadecimal. */
  readonly sha256?: string;
  readonly isComplete: boolean;
}

/** How a file is saved. */
export interface SaveFileOptions {
  readonly http: HttpOptions;
  readonly storage: StorageManager;
}

/** Bytes of a file in place. */
export interface FileProgress {
  readonly phase: "loading" | "checking";
  readonly done: number;
  readonly size?: number;
}

/** So much of what is stored is asked for once more and compared: a torn end, or another file, is noticed. */
const OVERLAP = 2 ** 16;
/** Progress is told, and written bytes are made safe, every so many bytes. */
const STRIDE = 2 ** 22;
const READ_BYTES = 2 ** 22;

/**
 * Saves a file.
 *
 * @param record what the last attempt knew; `remember` is told what this one learns
 * @throws NijimiError `network`, `cancelled`; `file` when the storage is full; `format` when the content is not what
 *   it should be, which then is removed
 */
export async function* saveFile(
  folder: FileSystemDirectoryHandle,
  name: string,
  from: string | Blob,
  record: FileRecord,
  remember: (record: FileRecord) => Promise<void>,
  options: SaveFileOptions,
): AsyncGenerator<FileProgress, FileRecord, undefined> {
  const access = await openAccess(folder, name);
  try {
    const known = yield* transfer(access, from, record, remember, options);
    if (known.sha256 !== undefined) yield* check(access, known, options.http.signal);
    return known;
  } finally {
    access.close();
  }
}

async function* transfer(
  access: FileAccess,
  from: string | Blob,
  record: FileRecord,
  remember: (record: FileRecord) => Promise<void>,
  options: SaveFileOptions,
): AsyncGenerator<FileProgress, FileRecord, undefined> {
  const { source } = record;
  const { http, storage } = options;
  const have = access.getSize();
  const { start, size, tag, body } = await openOrigin(
    from,
    Math.max(0, have - OVERLAP),
    record.tag,
    http,
  );
  const known: FileRecord = { ...record, size, tag };
  await remember(known);
  if (size !== undefined) await requireRoom(source, Math.max(0, size - have), storage);

  const reader = body.getReader();
  let at = start;
  let told: number | undefined;
  try {
    for (;;) {
      http.signal?.throwIfAborted();
      const { done, value } = await reader.read();
      if (done) break;
      if (start > 0 && !agrees(access, value, at, have)) {
        access.truncate(0);
        return yield* transfer(access, from, record, remember, options);
      }
      await put(access, value, at, { source, size, storage });
      at += value.length;
      if (told !== undefined && at - told < STRIDE) continue;
      access.flush();
      told = at;
      yield { phase: "loading", done: at, size };
    }
  } catch (cause) {
    if (cause instanceof NijimiError) throw cause;
    throw brokenOff(source, cause, http.signal);
  } finally {
    access.flush();
    await reader.cancel().catch(() => undefined);
  }
  if (size !== undefined && at < size)
    throw brokenOff(source, new Error(`${at} of ${size} bytes came`));
  access.truncate(at);
  yield { phase: "loading", done: at, size: at };
  return { ...known, size: at };
}

/** Whether bytes that come again are those that are stored. */
function agrees(access: FileAccess, bytes: Uint8Array, at: number, have: number): boolean {
  const stored = new Uint8Array(Math.max(0, Math.min(bytes.length, have - at)));
  access.read(stored, { at });
  return stored.every((byte, i) => byte === bytes[i]);
}

async function put(
  access: FileAccess,
  bytes: Uint8Array,
  at: number,
  { source, size = 0, storage }: { source: string; size?: number; storage: StorageManager },
): Promise<void> {
  let cause: unknown;
  try {
    if (access.write(bytes, { at }) === bytes.length) return;
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "QuotaExceededError")) throw error;
    cause = error;
  }
  const missing = Math.max(bytes.length, size - at);
  throw noRoom(source, missing, await storageRoom(storage), cause);
}

/** Compares the content with its SHA-256; what has another is emptied. */
async function* check(
  access: FileAccess,
  { source, sha256: expected }: FileRecord,
  signal: AbortSignal | undefined,
): AsyncGenerator<FileProgress, void, undefined> {
  const size = access.getSize();
  const hash = sha256();
  const bytes = new Uint8Array(Math.min(READ_BYTES, size));
  for (let done = 0; done < size;) {
    if (signal?.aborted) throw brokenOff(source, signal.reason, signal);
    const count = access.read(bytes, { at: done });
    hash.update(bytes.subarray(0, count));
    done += count;
    yield { phase: "checking", done, size };
  }
  const got = hash.digest();
  if (got === expected) return;
  access.truncate(0);
  throw new NijimiError(
    "format",
    `${source} has the SHA-256 ${got} (${showBytes(size)}); expected ${expected}. It is damaged or another file, and was removed.`,
  );
}
