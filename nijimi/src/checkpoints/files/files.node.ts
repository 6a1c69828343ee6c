/** Node's file system as {@link FileSystem}. */
import { open, mkdir, readdir, rename, rm, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { randomBytes } from "node:crypto";
import { NijimiError } from "../../errors.ts";
import { checkRange, cutShort, type ByteSource } from "./byte-source.ts";
import type { FileSystem } from "./file-system.ts";
import { checkRelativePath, type Folder } from "./folder.ts";

/** Opens a file for positional reads; nothing is read yet. */
export const openFile: FileSystem["openFile"] = async (file) => {
  const absolute = path.resolve(file);
  const handle = await open(absolute, "r").catch((cause: unknown) => {
    throw fileError(`${file} cannot be opened`, cause);
  });
  const info = await handle.stat();
  if (!info.isFile()) {
    await handle.close();
    throw new NijimiError(
      "file",
      `${file} is ${info.isDirectory() ? "a folder" : "not a regular file"}; a file was expected.`,
    );
  }
  return handleSource(handle, file, absolute, info.size);
};

function handleSource(
  handle: FileHandle,
  name: string,
  absolute: string,
  size: number,
): ByteSource {
  return {
    name,
    size,
    path: absolute,
    read: async (offset, length) => {
      checkRange(size, offset, length);
      const bytes = new Uint8Array(length);
      // One call gives at most 2 GiB, and fewer whenever the system likes.
      for (let done = 0; done < length;) {
        const { bytesRead } = await handle.read(
          bytes,
          done,
          Math.min(length - done, 2 ** 30),
          offset + done,
        );
        if (bytesRead === 0) throw cutShort(name, offset, length, done);
        done += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

/** A folder on disk. */
export const openFolder: FileSystem["openFolder"] = async (folder) => {
  const info = await stat(folder).catch((cause: unknown) => {
    throw fileError(`${folder} cannot be opened`, cause);
  });
  if (!info.isDirectory()) throw new NijimiError("file", `${folder} is not a folder.`);
  return diskFolder(folder);
};

function diskFolder(folder: string): Folder {
  return {
    name: folder,
    open: async (relative) => {
      const file = path.join(folder, checkRelativePath(relative, folder));
      const info = await stat(file).catch(() => undefined);
      return info?.isFile() ? openFile(file) : undefined;
    },
    list: async () => {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) =>
          path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep).join("/"),
        )
        .sort();
    },
  };
}

/** Size and time of change. */
export const stamp: FileSystem["stamp"] = async (file) => {
  const { size, mtimeMs } = await stat(file).catch((cause: unknown) => {
    throw fileError(`${file} cannot be opened`, cause);
  });
  return `${size}:${mtimeMs}`;
};

/** Writes a file that appears complete or not at all. */
export const writeFile: FileSystem["writeFile"] = async (file, chunks) => {
  const temporary = `${file}.${randomBytes(6).toString("hex")}.part`;
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await writeChunks(temporary, chunks);
    await rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw cause instanceof NijimiError ? cause : fileError(`${file} cannot be written`, cause);
  }
};

async function writeChunks(
  file: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const handle = await open(file, "wx");
  try {
    for await (const chunk of chunks)
      for (let done = 0; done < chunk.length;)
        done += (await handle.write(chunk, done, Math.min(chunk.length - done, 2 ** 30)))
          .bytesWritten;
    // Otherwise a power cut after the rename could leave an empty file under the final name.
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a folder that appears complete or not at all. */
export const writeFolder: FileSystem["writeFolder"] = async (folder, overwrite, write) => {
  const target = path.resolve(folder);
  const existing = await readdir(target).catch((cause: { code?: string }) => {
    if (cause.code === "ENOENT") return undefined;
    throw fileError(`${folder} cannot be written`, cause);
  });
  if (existing && existing.length > 0 && !overwrite)
    throw new NijimiError(
      "file",
      `${folder} exists and is not empty; choose another place, or allow overwriting.`,
    );
  const suffix = randomBytes(6).toString("hex");
  const temporary = `${target}.${suffix}.part`;
  try {
    await mkdir(temporary, { recursive: true });
    await write(temporary);
    if (existing) await rename(target, `${target}.${suffix}.old`);
    await rename(temporary, target);
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true });
    throw cause instanceof NijimiError ? cause : fileError(`${folder} cannot be written`, cause);
  }
  await rm(`${target}.${suffix}.old`, { recursive: true, force: true });
};

export const join: FileSystem["join"] = (folder, ...names) => path.join(folder, ...names);

function fileError(what: string, cause: unknown): NijimiError {
  const { code, message } = cause as { code?: string; message?: string };
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: "there is no such file or folder",
    EACCES: "permission denied",
    ENOSPC: "the disk is full",
    EISDIR: "it is a folder",
    ENOTDIR: "a part of the path is not a folder",
  };
  return new NijimiError("file", `${what}: ${reasons[code ?? ""] ?? message ?? String(cause)}.`, {
    cause,
  });
}
