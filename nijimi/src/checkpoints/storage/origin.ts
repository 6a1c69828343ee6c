/** Where the bytes of a stored file come from: a file that was picked, or a URL; from any byte on. */
import { NijimiError } from "../../errors.ts";
import type { HttpOptions } from "../files/http-source.ts";

/** Bytes on their way. */
export interface Incoming {
  /** The first byte that comes: the one asked for, or 0 from servers that give only whole files. */
  readonly start: number;
  /** Bytes of the whole file, where the server says. */
  readonly size?: number;
  /** The file's entity tag, where the server gives one. */
  readonly tag?: string;
  readonly body: ReadableStream<Uint8Array>;
}

/**
 * @param start first byte wanted
 * @param tag of the bytes that are there already; when the file has another by now, it comes from its beginning. Asked
 *   for without `If-Range`, which other sites would have to allow
 * @throws NijimiError `network`, `cancelled`
 */
export async function openOrigin(
  from: string | Blob,
  start: number,
  tag: string | undefined,
  http: HttpOptions,
): Promise<Incoming> {
  if (typeof from !== "string") return { start, size: from.size, body: from.slice(start).stream() };
  const { fetch = globalThis.fetch, headers = {}, signal } = http;
  const range = start > 0 && { range: `bytes=${start}-` };
  const response = await fetch(from, { headers: { ...headers, ...range }, signal }).catch(
    (cause: unknown) => {
      throw brokenOff(from, cause, signal);
    },
  );
  // Nothing lies there any more: the file has become shorter.
  if (response.status === 416 && start > 0) return openOrigin(from, 0, undefined, http);
  if (!response.ok || response.body === null)
    throw new NijimiError(
      "network",
      `${from} answered ${response.status} ${response.statusText}; check the address and your access to it.`,
    );
  const ownTag = response.headers.get("etag") ?? undefined;
  if (start > 0 && tag !== undefined && ownTag !== undefined && tag !== ownTag) {
    await response.body.cancel();
    return openOrigin(from, 0, undefined, http);
  }
  const first = response.status === 206 ? firstByte(response, start) : 0;
  return {
    start: first,
    size: sizeOf(response, first),
    tag: ownTag,
    body: response.body,
  };
}

/** The error for a transfer that ended too early. */
export function brokenOff(from: string, cause: unknown, signal?: AbortSignal): NijimiError {
  if (signal?.aborted)
    return new NijimiError(
      "cancelled",
      `Loading ${from} was cancelled. What is stored is kept; loading it again goes on from there.`,
      { cause },
    );
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new NijimiError(
    "network",
    `${from} broke off: ${reason}. What is stored is kept; load it again to go on. (Servers must allow this page by CORS.)`,
    { cause },
  );
}

function firstByte(response: Response, asked: number): number {
  // Where CORS hides the header, the overlap with what is stored is compared anyway.
  const range = response.headers.get("content-range");
  return range === null ? asked : Number(/^bytes (\d+)-/.exec(range)?.[1] ?? asked);
}

function sizeOf(response: Response, first: number): number | undefined {
  const total = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
  if (total !== undefined) return Number(total);
  const length = response.headers.get("content-length");
  // A compressed transfer has another length than the file.
  const isPlain = response.headers.get("content-encoding") === null;
  return length !== null && isPlain ? first + Number(length) : undefined;
}
