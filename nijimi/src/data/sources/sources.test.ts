import { gzipSync } from "fflate";
import { packTar } from "modern-tar";
import { describe, expect, test } from "vitest";
import { filesFolder } from "../../checkpoints/files/folder.ts";
import type { Dataset, RawSample } from "../sample.ts";
import { cifarDataset } from "./cifar.ts";
import { collect, filterKeys, mixture, samplesInMemory } from "./derived.ts";
import { imageFolder } from "./image-folder.ts";
import { mnistDataset } from "./mnist.ts";
import { parquetDataset } from "./parquet.ts";
import { expandBraces, webDataset } from "./web-dataset.ts";

const text = (value: string) => new TextEncoder().encode(value);

/** A folder in memory; pictures hold their own name. */
function folder(files: Record<string, string>) {
  return filesFolder(
    new Map(Object.entries(files).map(([path, content]) => [path, text(content)])),
    "set",
  );
}

async function all(dataset: Dataset): Promise<RawSample[]> {
  const set = await collect(dataset);
  return Promise.all(Array.from({ length: set.size }, (_, i) => set.read(i)));
}

const imageText = ({ image }: RawSample) => new TextDecoder().decode(image as Uint8Array);

describe("image folders", () => {
  test("class subfolders give labels in sorted order, whatever the order of the files", async () => {
    const set = await imageFolder(
      folder({ "dog/2.png": "d", "cat/sub/1.JPG": "c", "cat/notes.md": "" }),
    );
    expect(set.classes).toEqual(["cat", "dog"]);
    expect((await all(set)).map(({ key, label }) => [key, label])).toEqual([
      ["cat/sub/1.JPG", 0],
      ["dog/2.png", 1],
    ]);
  });

  test("captions: beside the picture, else for the folder", async () => {
    const files = {
      "a/1.png": "",
      "a/1.txt": "one\n",
      "a/2.png": "",
      "a/caption.txt": "all of a",
      "3.png": "",
    };
    const samples = await all(await imageFolder(folder(files)));
    expect(samples.map(({ key, caption }) => [key, caption])).toEqual([
      ["3.png", undefined],
      ["a/1.png", "one"],
      ["a/2.png", "all of a"],
    ]);
    expect(samples[0]).not.toHaveProperty("label"); // not every picture is in a class folder
  });

  test("metadata.jsonl: captions, named labels, other columns, second pictures; paths are relative to it", async () => {
    const lines = [
      { file_name: "b.png", text: "bee", label: "insect", year: 1 },
      { file_name: "x/a.png", text: "ant", label: "insect", target_file_name: "x/a-mask.png" },
      { file_name: "c.png", text: "cat", label: "animal" },
    ];
    const files = {
      "train/metadata.jsonl": lines.map((line) => JSON.stringify(line)).join("\n"),
      "train/b.png": "b",
      "train/x/a.png": "a",
      "train/x/a-mask.png": "mask",
      "train/c.png": "c",
      "unlisted.png": "u",
    };
    const set = await imageFolder(folder(files));
    expect(set.classes).toEqual(["animal", "insect"]);
    const samples = await all(set);
    expect(samples.map(({ key, caption, label }) => [key, caption, label])).toEqual([
      ["train/b.png", "bee", 1],
      ["train/c.png", "cat", 0],
      ["train/x/a.png", "ant", 1],
    ]);
    expect(samples[0].metadata).toMatchObject({ year: 1 });
    expect(new TextDecoder().decode(samples[2].target as Uint8Array)).toBe("mask");
  });

  test("a folder of second pictures", async () => {
    const set = await imageFolder(folder({ "in/1.jpg": "i", "masks/in/1.png": "m" }), {
      targets: "masks",
      labels: false,
    });
    expect(set.size).toBe(1);
    expect(new TextDecoder().decode((await set.read(0)).target as Uint8Array)).toBe("m");
  });

  test("says what is wrong", async () => {
    await expect(imageFolder(folder({ "a.txt": "" }))).rejects.toThrow(/holds no pictures/);
    await expect(imageFolder(folder({ "metadata.jsonl": '{"text": 1}' }))).rejects.toThrow(
      /line 1 has no "file_name"/,
    );
    await expect(imageFolder(folder({ "metadata.jsonl": "{" }))).rejects.toThrow(
      /line 1 is not JSON/,
    );
    const missing = await imageFolder(folder({ "metadata.jsonl": '{"file_name": "gone.png"}' }));
    await expect(missing.read(0)).rejects.toThrow(/gone.png is not there/);
    const outside = await imageFolder(folder({ "metadata.jsonl": '{"file_name": "../up.png"}' }));
    await expect(outside.read(0)).rejects.toThrow(/not a plain path/);
  });
});

async function tar(files: Record<string, string>): Promise<Uint8Array> {
  return packTar(
    Object.entries(files).map(([name, content]) => ({
      header: { name, size: text(content).length },
      body: content,
    })),
  );
}

describe("WebDataset", () => {
  const files = {
    "./a/1.jpg": "one",
    "./a/1.txt": " first ",
    "./a/1.cls": "3",
    "./a/2.x.png": "not a picture by its whole extension",
    "./a/2.webp": "two",
    "./a/2.json": '{"caption": "second", "label": 4, "tags": [1]}',
    "./a/3.txt": "no picture",
    "./a/4.png": "four",
    "./a/4.seg.png": "mask",
  };

  test("neighbouring files of one name are a sample", async () => {
    const samples = await all(webDataset([await tar(files)]));
    expect(samples.map(({ key, caption, label }) => [key, caption, label])).toEqual([
      ["a/1", "first", 3],
      ["a/2", "second", 4],
      ["a/4", undefined, undefined],
    ]);
    expect(samples.map(imageText)).toEqual(["one", "two", "four"]);
    expect(samples[1].metadata).toMatchObject({ tags: [1] });
    expect(samples[2].target).toEqual(text("mask"));
  });

  test("gzipped shards give the same, and a shard's size is known once it was read", async () => {
    const plain = await tar(files);
    const set = webDataset([plain, gzipSync(plain)]);
    expect(set.shardSize(0)).toBeUndefined();
    const samples = await all(set);
    expect(samples.slice(3)).toEqual(samples.slice(0, 3));
    expect([set.shardSize(0), set.shardSize(1)]).toEqual([3, 3]);
  });

  test("a shard that is cut short is an error, not a shorter set", async () => {
    const bytes = await tar(files);
    await expect(all(webDataset([bytes.subarray(0, 1700)]))).rejects.toThrow(
      /not a whole tar archive/,
    );
    await expect(all(webDataset([gzipSync(bytes).subarray(0, 60)]))).rejects.toThrow(
      /not a whole tar archive/,
    );
    await expect(all(webDataset([await tar({ "1.png": "", "1.cls": "cat" })]))).rejects.toThrow(
      /label of 1 is "cat"/,
    );
  });

  test("braces in names of shards", () => {
    expect(expandBraces("s-{08..10}.tar")).toEqual(["s-08.tar", "s-09.tar", "s-10.tar"]);
    expect(expandBraces("{a,b}-{0..1}")).toEqual(["a-0", "a-1", "b-0", "b-1"]);
    expect(() => expandBraces("{3..1}")).toThrow(/is empty/);
  });
});

/** Three rows in two row groups: image {bytes, path}, text, label; written by PyArrow with Snappy. */
const PARQUET =
  "UEFSMRUAFagCFdQBLBUEFQAVBhUGHAAAAJQBdAIAAAAEAkMAAACJUE5HDQoaCgAAAA1JSERSAAAAAQEEqAgAAAAAOn6bVQAAAApJREFUeJxj4AIAAAwAC2c6K5wAAAAASUVORK5CYIK+RwBYEAEAABYAFW5ueC4AAAAASUVORK5CYIIVABU0FTgsFQQVABUGFQYcAAAAGmQCAAAABAIGAAAAMTAucG5nBgAAADIwLnBuZxUAFSgVLCwVBBUAFQYVBhwAAAAUTAIAAAAEAQMAAABvbmUDAAAAdHdvFQAVLBUwLBUEFQAVBhUGHAAAABZUAgAAAAQBAAAAAAAAAAABAAAAAAAAABUAFZoBFZwBLBUCFQAVBhUGHAAAAE10AgAAAAICQwAAAIlQTkcNChoKAAAADUlIRFIAAAABAQSoCAAAAAA6fptVAAAACklEQVR4nGOQAwAAIAAfa4ND6wAAAABJRU5ErkJgghUAFSAVJCwVAhUAFQYVBhwAAAAQPAIAAAACAgYAAAAzMC5wbmcVABUeFSIsFQIVABUGFQYcAAAADzgCAAAAAgEFAAAAdGhyZWUVABUcFSAsFQIVABUGFQYcAAAADjQCAAAAAgEAAAAAAAAAABUEGWw1ABgGc2NoZW1hFQYANQIYBWltYWdlFQQAFQwlAhgFYnl0ZXMAFQwlAhgEcGF0aCUATBwAAAAVDCUCGAR0ZXh0JQBMHAAAABUEJQIYBWxhYmVsABYGGSwZTCYAHBUMGSUGABkoBWltYWdlBWJ5dGVzFQIWBBbSAhb+ASYISRwVABUAFQIAPBaMAhkGGTYAAAQAAAAmABwVDBklBgAZKAVpbWFnZQRwYXRoFQIWBBZaFl4mhgJJHBUAFQAVAgA8FhgZBhk2AAAEAAAAJgAcFQwZJQYAGRgEdGV4dBUCFgQWThZSJuQCSRwVABUAFQIAPBYMGQYZJgAEAAAAJgAcFQQZJQYAGRgFbGFiZWwVAhYEFlIWVia2A0kcFQAVABUCADwpBhkmAAQAAAAWzAQWBCYIFoQEABlMJgAcFQwZJQYAGSgFaW1hZ2UFYnl0ZXMVAhYCFsQBFsYBJowESRwVABUAFQIAPBaGARkGGTYAAAIAAAAmABwVDBklBgAZKAVpbWFnZQRwYXRoFQIWAhZGFkom0gVJHBUAFQAVAgA8FgwZBhk2AAACAAAAJgAcFQwZJQYAGRgEdGV4dBUCFgIWRBZIJpwGSRwVABUAFQIAPBYKGQYZJgACAAAAJgAcFQQZJQYAGRgFbGFiZWwVAhYCFkIWRibkBkkcFQAVABUCADwpBhkmAAIAAAAWkAMWAiaMBBaeAwAoIHBhcnF1ZXQtY3BwLWFycm93IHZlcnNpb24gMjYuMC4xGUwcAAAcAAAcAAAcAAAASAIAAFBBUjE=";

describe("Parquet", () => {
  const bytes = () => Uint8Array.from(atob(PARQUET), (c) => c.charCodeAt(0));

  test("row groups are shards; columns are found by their usual names", async () => {
    const set = await parquetDataset([bytes()]);
    expect([set.shards, set.shardSize(0), set.shardSize(1)]).toEqual([2, 2, 1]);
    const samples = await all(set);
    expect(samples.map(({ caption, label }) => [caption, label])).toEqual([
      ["one", 0],
      ["two", 1],
      ["three", 0],
    ]);
    for (const { image } of samples)
      expect([...(image as Uint8Array).subarray(1, 4)]).toEqual([...text("PNG")]);
  });

  test("says which columns there are", async () => {
    await expect(parquetDataset([bytes()], { captionColumn: "tekst" })).rejects.toThrow(
      /"tekst".*image, text, label/s,
    );
    await expect(parquetDataset([text("no parquet at all, though long enough")])).rejects.toThrow(
      /not a Parquet file/,
    );
  });
});

test("CIFAR: records of planes", async () => {
  const record = new Uint8Array(3073);
  record[0] = 6;
  record.fill(10, 1, 1025).fill(20, 1025, 2049).fill(30, 2049);
  const set = await cifarDataset([record, record]);
  expect([set.size, set.classes?.[6]]).toEqual([2, "frog"]);
  const { image, label } = await set.read(1);
  expect(label).toBe(6);
  expect([...(image as { data: Uint8Array }).data.subarray(0, 6)]).toEqual([
    10, 20, 30, 10, 20, 30,
  ]);
  const fine = new Uint8Array(3074).fill(1);
  fine[1] = 77;
  expect((await (await cifarDataset([fine], { classes: 100 })).read(0)).label).toBe(77);
  await expect(cifarDataset([record.subarray(1)])).rejects.toThrow(
    /no multiple of a CIFAR-10 record/,
  );
  await expect(cifarDataset([fine.subarray(1)])).rejects.toThrow(/label at byte 0 is 77/);
});

test("MNIST: idx, plain or gzipped", async () => {
  const images = Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 5, 6, 7, 8);
  const labels = Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 9, 4);
  const set = await mnistDataset(gzipSync(images), labels);
  expect(await set.read(1)).toMatchObject({
    label: 4,
    image: { width: 2, height: 1, channels: 1, data: Uint8Array.of(7, 8) },
  });
  await expect(mnistDataset(images.subarray(0, 18))).rejects.toThrow(
    /says it holds \[2,1,2\] bytes, but 2 follow/,
  );
  await expect(mnistDataset(labels)).rejects.toThrow(/got 0 0 8 1, expected 0 0 8 3/);
});

describe("sets made from sets", () => {
  const set = (name: string, size: number) =>
    samplesInMemory(
      name,
      Array.from({ length: size }, (_, i) => ({ key: `${name}${i}`, image: new Uint8Array(10) })),
    );

  test("keys can be left out of both kinds", async () => {
    const kept = filterKeys(set("a", 5), (key) => key !== "a1" && key !== "a4");
    expect(Array.from({ length: kept.size }, (_, i) => kept.key(i))).toEqual(["a0", "a2", "a3"]);
    const streamed = filterKeys(
      webDataset([await tar({ "x.png": "", "y.png": "" })]),
      (key) => key === "y",
    );
    expect((await all(streamed)).map(({ key }) => key)).toEqual(["y"]);
  });

  test("a set that is too large for memory is refused", async () => {
    const shard = await tar({ "x.png": "0123456789", "y.png": "0123456789" });
    await expect(collect(webDataset([shard]), { maxBytes: 15 })).rejects.toThrow(
      /more than 15 bytes/,
    );
  });

  test("a mixture indexes its parts one after the other", async () => {
    const mixed = mixture([
      { dataset: set("a", 2), weight: 3 },
      { dataset: set("b", 6), weight: 1 },
    ]);
    expect([mixed.size, mixed.key(1), mixed.key(2)]).toEqual([8, "a1", "b0"]);
    expect(mixed.parts.map(({ perEpoch }) => perEpoch)).toEqual([6, 2]);
    expect(() => mixture([])).toThrow(/not empty/);
  });
});
