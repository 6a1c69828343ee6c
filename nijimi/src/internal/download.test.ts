import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { download } from "./download.node.ts";

const CONTENT = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 31) % 251));
const SHA256 = createHash("sha256").update(CONTENT).digest("hex");

let folder: string;
const closing: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "nijimi-download-"));
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await rm(folder, { recursive: true });
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/weights.pth`;
}

/** Gives the content, by ranges where asked; notes the ranges. */
function serveRanges(ranges: (string | undefined)[]): Promise<string> {
  return serve((request, response) => {
    const { range } = request.headers;
    ranges.push(range);
    const start = Number(/bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0);
    if (start >= CONTENT.length) return void response.writeHead(416).end();
    const headers = {
      "content-length": CONTENT.length - start,
      "content-range": `bytes ${start}-${CONTENT.length - 1}/${CONTENT.length}`,
    };
    response.writeHead(range === undefined ? 200 : 206, headers).end(CONTENT.subarray(start));
  });
}

describe("download", () => {
  test("fetches, checks and renames; a second time there is nothing to do", async () => {
    const ranges: (string | undefined)[] = [];
    const url = await serveRanges(ranges);
    const to = join(folder, "deep", "weights.pth");
    const progress: number[] = [];
    expect(
      await download(url, { to, sha256: SHA256, onProgress: (done) => progress.push(done) }),
    ).toBe(true);
    expect(await readFile(to)).toEqual(CONTENT);
    expect(progress.at(-1)).toBe(CONTENT.length);
    expect(await readdir(join(folder, "deep"))).toEqual(["weights.pth"]);
    expect(await download(url, { to, sha256: SHA256 })).toBe(false);
    expect(ranges).toEqual([undefined]);
  });

  test("goes on where it was interrupted", async () => {
    const ranges: (string | undefined)[] = [];
    const url = await serveRanges(ranges);
    const to = join(folder, "weights.pth");
    await writeFile(`${to}.part`, CONTENT.subarray(0, 70_000));
    await download(url, { to, sha256: SHA256 });
    expect(ranges).toEqual(["bytes=70000-"]);
    expect(await readFile(to)).toEqual(CONTENT);
  });

  test("begins anew when the server knows no ranges", async () => {
    const url = await serve((_, response) => void response.writeHead(200).end(CONTENT));
    const to = join(folder, "weights.pth");
    await writeFile(`${to}.part`, Buffer.alloc(300_000, 7));
    await download(url, { to, sha256: SHA256 });
    expect(await readFile(to)).toEqual(CONTENT);
  });

  test("a complete part only needs its check", async () => {
    const url = await serveRanges([]);
    const to = join(folder, "weights.pth");
    await writeFile(`${to}.part`, CONTENT);
    await download(url, { to, sha256: SHA256 });
    expect(await readFile(to)).toEqual(CONTENT);
  });

  test("what broke off is kept and finished by the next try", async () => {
    let tries = 0;
    const url = await serve((request, response) => {
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
      const headers = {
        "content-length": CONTENT.length - start,
        "content-range": `bytes ${start}-`,
      };
      response.writeHead(start > 0 ? 206 : 200, headers);
      if (tries++ === 0) response.write(CONTENT.subarray(0, 50_000), () => response.destroy());
      else response.end(CONTENT.subarray(start));
    });
    const to = join(folder, "weights.pth");
    await expect(download(url, { to, sha256: SHA256 })).rejects.toThrow(/broke off.*try again/);
    await download(url, { to, sha256: SHA256 });
    expect(await readFile(to)).toEqual(CONTENT);
  });

  test("another file than expected is deleted and named by its hash", async () => {
    const url = await serveRanges([]);
    const to = join(folder, "weights.pth");
    const sha256 = "0".repeat(64);
    await expect(download(url, { to, sha256 })).rejects.toThrow(
      new RegExp(`${SHA256}; expected 000`),
    );
    expect(await readdir(folder)).toEqual([]);
    await writeFile(to, "something else");
    await expect(download(url, { to, sha256: SHA256 })).rejects.toThrow(
      /is there already and has the SHA-256/,
    );
  });

  test("refusals and unreachable servers are network errors", async () => {
    const url = await serve((_, response) => void response.writeHead(404).end());
    const to = join(folder, "weights.pth");
    await expect(download(url, { to, sha256: SHA256 })).rejects.toThrow(/answered 404/);
    await expect(download("http://127.0.0.1:1/x", { to, sha256: SHA256 })).rejects.toMatchObject({
      code: "network",
    });
  });
});
