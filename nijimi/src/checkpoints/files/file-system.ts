/**
 * What readers and writers need of a file system. `#files` gives Node's; browsers have none, and every
 * function there says so.
 */
import type { ByteSource } from "./byte-source.ts";
import type { Folder } from "./folder.ts";

export interface FileSystem {
  /** Opens a file for reading. */
  openFile(path: string): Promise<ByteSource>;
  /** A folder for reading. */
  openFolder(path: string): Promise<Folder>;
  /**
   * Writes a file so that it appears complete or not at all: a temporary file beside it, then a rename.
   * Missing parent folders are made.
   */
  writeFile(path: string, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void>;
  /**
   * Makes a folder so that it appears complete or not at all: `write` fills a temporary folder beside it, which is
   * then renamed.
   *
   * @throws NijimiError `file` when the folder exists, is not empty and `overwrite` is false
   */
  writeFolder(
    path: string,
    overwrite: boolean,
    write: (temporary: string) => Promise<void>,
  ): Promise<void>;
  /** Size and time of change of a file: when both are the same, so is the file. */
  stamp(path: string): Promise<string>;
  /** `name` inside the folder `path`. */
  join(path: string, ...names: readonly string[]): string;
}
