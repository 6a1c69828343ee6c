/**
 * Writing to the browser's own file system (OPFS). The handles used here write in place, so that an interrupted
 * transfer leaves what it had; they exist in workers only, and one at a time for each file.
 */
import { NijimiError } from "../../errors.ts";

/** `FileSystemSyncAccessHandle`, which TypeScript knows in workers only. */
export interface FileAccess {
  getSize(): number;
  read(bytes: Uint8Array, place: { readonly at: number }): number;
  write(bytes: Uint8Array, place: { readonly at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

/**
 * Opens a file for reading and writing; it is made when it is not there.
 *
 * @throws NijimiError `unsupported` outside of workers, `file` when another tab or worker has it open
 */
export async function openAccess(
  folder: FileSystemDirectoryHandle,
  file: string,
): Promise<FileAccess> {
  const handle = (await folder.getFileHandle(file, { create: true })) as FileSystemFileHandle & {
    createSyncAccessHandle?(): Promise<FileAccess>;
  };
  if (handle.createSyncAccessHandle === undefined)
    throw new NijimiError(
      "unsupported",
      "Models are stored from a worker: browsers let only those write files in place. Call this inside a Worker.",
    );
  return handle.createSyncAccessHandle().catch((cause: unknown) => {
    throw new NijimiError(
      "file",
      `${decodeURIComponent(file)} is being written by another tab or worker; wait for it, or close it.`,
      { cause },
    );
  });
}

/** Replaces the text of a file. */
export async function writeText(
  folder: FileSystemDirectoryHandle,
  file: string,
  text: string,
): Promise<void> {
  const access = await openAccess(folder, file);
  try {
    const bytes = new TextEncoder().encode(text);
    access.truncate(0);
    access.write(bytes, { at: 0 });
    access.flush();
  } finally {
    access.close();
  }
}

/** A file's content as it is now; undefined when there is no such file. */
export async function readStored(
  folder: FileSystemDirectoryHandle,
  file: string,
): Promise<File | undefined> {
  try {
    return await (await folder.getFileHandle(file)).getFile();
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotFoundError") return undefined;
    throw error;
  }
}
