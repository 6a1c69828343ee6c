/**
 * A folder of files by relative path: on disk, below a URL, or the files a browser's folder picker gives.
 * Names that come out of files (indices, model descriptions) cannot lead out of it.
 */
import { NijimiError } from "../../errors.ts";
import { blobSource, bytesSource, type ByteSource } from "./byte-source.ts";
import { httpSource, type HttpOptions } from "./http-source.ts";

export interface Folder {
  /** For messages. */
  readonly name: string;
  /**
   * Opens the file at a relative path with slashes; undefined when there is none.
   *
   * @throws NijimiError `unsafe` for a path that leaves the folder
   */
  open(path: string): Promise<ByteSource | undefined>;
  /** Relative paths of all files, where they can be listed: not below a URL. */
  list(): Promise<readonly string[] | undefined>;
}

/**
 * Checks a relative path that came out of a file.
 *
 * @throws NijimiError `unsafe` when it is absolute, has `..` in it, or is written for another system
 */
export function checkRelativePath(path: string, where: string): string {
  const parts = path.split("/");
  const plain = parts.every((part) => part !== "" && part !== "." && part !== "..");
  if (plain && !/[\\:\u0000]/.test(path)) return path;
  throw new NijimiError(
    "unsafe",
    `${where} names the file ${JSON.stringify(path)}, which is not a plain path inside the folder; it is not opened.`,
  );
}

/** Files in memory or from a folder picker, by relative path (`File.webkitRelativePath` without its first part). */
export function filesFolder(files: ReadonlyMap<string, Blob | Uint8Array>, name = "files"): Folder {
  return {
    name,
    open: async (path) => {
      const file = files.get(checkRelativePath(path, name));
      if (file === undefined) return undefined;
      return file instanceof Uint8Array
        ? bytesSource(file, `${name}/${path}`)
        : blobSource(file, `${name}/${path}`);
    },
    list: async () => [...files.keys()],
  };
}

/** Files below a URL, e.g. `https://host/owner/model/resolve/main/`. */
export function httpFolder(url: string | URL, options: HttpOptions = {}): Folder {
  const base = String(url).replace(/\/*$/, "/");
  return {
    name: base,
    open: async (path) => {
      const address = new URL(
        checkRelativePath(path, base).split("/").map(encodeURIComponent).join("/"),
        base,
      );
      return httpSource(address, options).catch((error: unknown) => {
        if (error instanceof NijimiError && / answered 404 /.test(error.message)) return undefined;
        throw error;
      });
    },
    list: async () => undefined,
  };
}

/** The whole text of a file that is meant to be small: configs, indices, vocabularies. */
export async function readText(source: ByteSource, maxBytes = 64 * 2 ** 20): Promise<string> {
  if (source.size > maxBytes)
    throw new NijimiError(
      "format",
      `${source.name} has ${source.size} bytes; a text of at most ${maxBytes} was expected.`,
    );
  const bytes = await source.read(0, source.size);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new NijimiError("format", `${source.name} is not UTF-8 text.`, { cause });
  }
}
