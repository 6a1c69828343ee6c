/** Downloads that are checked against a SHA-256 and go on where they were interrupted. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { NijimiError } from "../errors.ts";

export interface DownloadOptions {
  /** Path of the finished file. While it is incomplete it is called `….part`. */
  readonly to: string;
  /** Lower-case hexadecimal; what does not hash to it is deleted. */
  readonly sha256: string;
  readonly signal?: AbortSignal;
  /** @default the platform's */
  readonly fetch?: typeof fetch;
  /** Called now and then with the bytes on disk, and the bytes in all where the server says. */
  readonly onProgress?: (done: number, total: number | undefined) => void;
}

/**
 * Fetches a file, unless it is there already.
 *
 * @returns whether anything was fetched
 * @throws NijimiError `network` when the server does not give the file, `format` when its hash is another
 * @example
 * await download("https://example.org/weights.pth", { to: "weights.pth", sha256: "6726825d…" });
 */
export async function download(url: string, options: DownloadOptions): Promise<boolean> {
  const { to, sha256, signal } = options;
  if ((await sizeOf(to)) !== undefined) {
    await check(to, sha256, `${to} is there already and`, signal);
    return false;
  }
  await mkdir(dirname(to), { recursive: true });
  const part = `${to}.part`;
  await fetchInto(part, url, options);
  try {
    await check(part, sha256, `What ${url} gave`, signal);
  } catch (error) {
    if (!signal?.aborted) await rm(part);
    throw error;
  }
  await rename(part, to);
  return true;
}

/** SHA-256 of a file in lower-case hexadecimal. */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { signal })) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

async function check(
  path: string,
  sha256: string,
  what: string,
  signal?: AbortSignal,
): Promise<void> {
  const got = await hashFile(path, signal);
  if (got === sha256) return;
  throw new NijimiError("format", `${what} has the SHA-256 ${got}; expected ${sha256}.`);
}

/** Appends to the part where the server can go on, begins anew where it cannot. */
async function fetchInto(
  part: string,
  url: string,
  { signal, fetch: get = fetch, onProgress }: DownloadOptions,
): Promise<void> {
  const have = (await sizeOf(part)) ?? 0;
  const headers: Record<string, string> = have > 0 ? { Range: `bytes=${have}-` } : {};
  const response = await get(url, { headers, ...(signal && { signal }) }).catch(
    (cause: unknown) => {
      signal?.throwIfAborted();
      throw new NijimiError("network", `${url} cannot be reached: ${reasonOf(cause)}`, { cause });
    },
  );
  // Nothing lies beyond the part: it is complete, or of another file, which its hash will say.
  if (response.status === 416) return;
  if (!response.ok || response.body === null)
    throw new NijimiError("network", `${url} answered ${response.status} ${response.statusText}.`);
  const start = response.status === 206 ? startOf(response, have, url) : 0;
  const length = Number(response.headers.get("content-length") ?? NaN);
  const total = Number.isFinite(length) ? start + length : undefined;
  const file = await open(part, start > 0 ? "r+" : "w");
  try {
    let done = start;
    for await (const chunk of response.body) {
      await file.write(chunk, 0, chunk.length, done);
      done += chunk.length;
      onProgress?.(done, total);
    }
    if (total !== undefined && done < total)
      throw new NijimiError(
        "network",
        `${url} broke off after ${done} of ${total} bytes; try again to go on.`,
      );
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof NijimiError) throw cause;
    throw new NijimiError("network", `${url} broke off: ${reasonOf(cause)}; try again to go on.`, {
      cause,
    });
  } finally {
    await file.close();
  }
}

/** First byte of a partial answer, which must be the one asked for. */
function startOf(response: Response, asked: number, url: string): number {
  const range = response.headers.get("content-range") ?? "";
  const start = Number(/^bytes (\d+)-/.exec(range)?.[1] ?? NaN);
  if (start === asked) return start;
  throw new NijimiError("network", `${url} was asked for bytes from ${asked} and gave "${range}".`);
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as { cause?: { message?: string }; message?: string };
  return cause?.message ?? message ?? String(error);
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
