/** Everything that can be opened as a source of bytes. */
import { blobSource, bytesSource, type ByteSource } from "./byte-source.ts";
import { httpFolder, type Folder } from "./folder.ts";
import { httpSource, type HttpOptions } from "./http-source.ts";

/** A path (Node), a URL, a `Blob` or `File`, bytes, or a source that is open already. */
export type SourceInput = string | URL | Blob | Uint8Array | ArrayBuffer | ByteSource;

/**
 * Opens whatever was given.
 *
 * @param options for URLs
 */
export async function openSource(
  input: SourceInput,
  options: HttpOptions = {},
): Promise<ByteSource> {
  if (typeof input === "string" || input instanceof URL) return openAddress(input, options);
  if (input instanceof Uint8Array || input instanceof ArrayBuffer) return bytesSource(input);
  return input instanceof Blob ? blobSource(input) : input;
}

async function openAddress(input: string | URL, options: HttpOptions): Promise<ByteSource> {
  if (isHttp(input)) return httpSource(input, options);
  return (await import("#files")).openFile(pathOf(input));
}

/**
 * Opens a folder by path (Node) or URL; a {@link Folder} is given back.
 *
 * @param options for URLs
 */
export async function openFolder(
  input: string | URL | Folder,
  options: HttpOptions = {},
): Promise<Folder> {
  if (typeof input !== "string" && !(input instanceof URL)) return input;
  if (isHttp(input)) return httpFolder(input, options);
  return (await import("#files")).openFolder(pathOf(input));
}

function isHttp(input: string | URL): boolean {
  return /^https?:\/\//i.test(String(input));
}

function pathOf(input: string | URL): string {
  if (typeof input === "string" && !input.startsWith("file://")) return input;
  return decodeURIComponent(new URL(input).pathname).replace(/^\/([A-Za-z]:)/, "$1");
}
