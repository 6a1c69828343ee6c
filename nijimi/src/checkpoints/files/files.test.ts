import { mkdtemp, readdir, readFile, rm, writeFile as write } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { blobSource, bytesSource, type ByteSource } from "./byte-source.ts";
import { openFile, openFolder, writeFile, writeFolder } from "./files.node.ts";
import { checkRelativePath, filesFolder } from "./folder.ts";

const CONTENT = Uint8Array.from({ length: 1000 }, (_, i) => i % 256);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "nijimi-files-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe("sources", () => {
  const sources: Record<string, () => Promise<ByteSource>> = {
    bytes: async () => bytesSource(CONTENT.slice()),
    buffer: async () => bytesSource(CONTENT.slice().buffer),
    blob: async () => blobSource(new Blob([CONTENT.slice()])),
    file: async () => {
      const file = path.join(folder, "content");
      await write(file, CONTENT);
      return openFile(file);
    },
  };

  it.each(Object.entries(sources))("of %s give exactly the bytes asked for", async (_, open) => {
    const source = await open();
    expect(source.size).toBe(1000);
    expect(await source.read(990, 10)).toEqual(CONTENT.slice(990));
    expect(await source.read(1000, 0)).toHaveLength(0);
    await expect(source.read(990, 11)).rejects.toThrow("internal");
    await expect(source.read(-1, 1)).rejects.toThrow("internal");
    await source.close();
  });

  it("say why a file cannot be opened", async () => {
    await expect(openFile(path.join(folder, "none"))).rejects.toThrow("there is no such file");
    await expect(openFile(folder)).rejects.toThrow("is a folder");
    await expect(openFolder(path.join(folder, "none"))).rejects.toMatchObject({ code: "file" });
  });

  it("notice that a file has been cut short", async () => {
    const source = await sources.file();
    await write(path.join(folder, "content"), "short");
    await expect(source.read(0, 1000)).rejects.toThrow("has changed since it was opened");
    await source.close();
  });
});

describe("writeFile", () => {
  it("writes all chunks and leaves nothing else", async () => {
    const file = path.join(folder, "deep", "file.bin");
    await writeFile(file, [CONTENT.subarray(0, 10), CONTENT.subarray(10)]);
    expect(new Uint8Array(await readFile(file))).toEqual(CONTENT);
    expect(await readdir(path.dirname(file))).toEqual(["file.bin"]);
  });

  it("keeps the old file when writing fails", async () => {
    const file = path.join(folder, "file.bin");
    await writeFile(file, [CONTENT]);
    async function* failing() {
      yield CONTENT.subarray(0, 10);
      throw new Error("no more");
    }
    await expect(writeFile(file, failing())).rejects.toThrow("cannot be written: no more");
    expect(new Uint8Array(await readFile(file))).toEqual(CONTENT);
    expect(await readdir(folder)).toEqual(["file.bin"]);
  });
});

describe("writeFolder", () => {
  const fill = (content: string) => (temporary: string) =>
    write(path.join(temporary, "a"), content);

  it("replaces a folder only when allowed, and all at once", async () => {
    const target = path.join(folder, "model");
    await writeFolder(target, false, fill("1"));
    await expect(writeFolder(target, false, fill("2"))).rejects.toThrow("exists and is not empty");
    await writeFolder(target, true, fill("3"));
    expect(await readFile(path.join(target, "a"), "utf8")).toBe("3");
    const fail = () => Promise.reject(new Error("no"));
    await expect(writeFolder(target, true, fail)).rejects.toThrow("no");
    expect(await readFile(path.join(target, "a"), "utf8")).toBe("3");
    expect(await readdir(folder)).toEqual(["model"]);
  });
});

describe("folders", () => {
  it.each(["", "/a", "a//b", "../a", "a/../b", "./a", "a\\b", "C:a", "a\u0000"])(
    "refuse the path %j",
    (name) => {
      expect(() => checkRelativePath(name, "index")).toThrow(
        expect.objectContaining({ code: "unsafe" }),
      );
    },
  );

  it("open and list their files", async () => {
    await writeFile(path.join(folder, "unet", "config.json"), [CONTENT]);
    const inMemory = filesFolder(new Map([["unet/config.json", CONTENT]]));
    for (const opened of [await openFolder(folder), inMemory]) {
      expect(await opened.list()).toEqual(["unet/config.json"]);
      const file = await opened.open("unet/config.json");
      expect(file?.size).toBe(1000);
      await file?.close();
      expect(await opened.open("unet")).toBeUndefined();
      await expect(opened.open("../x")).rejects.toMatchObject({ code: "unsafe" });
    }
  });
});
