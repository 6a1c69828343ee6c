/**
 * Rebuilds the shards that the emoji recipes train on from their public sources, and checks that they are the same:
 *
 * `npm run emoji:shards -- --noto DIR --emojibase DIR --output noto-emoji-128.tar.gz`
 *
 * `--noto` is a checkout of googlefonts/noto-emoji, `--emojibase` the unpacked npm package emojibase-data; which
 * versions, says `docs/recipes/build-the-emoji-shards.md`.
 */
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { splitProblems } from "../nijimi/src/train/recipes/emoji/split-check.ts";
import { makeTar, type TarFile } from "./emoji/tar.ts";

/** Of the archive before compression, which is not the same with every version of zlib. */
const EXPECTED = "ffbd21af96b9a2a243ee840034efcb574b38bcc710547c08aaa3afd05c3e12b5";

/** An emoji of emojibase, as far as it is used. */
interface Emoji {
  readonly hexcode: string;
  readonly label: string;
  readonly tags?: readonly string[];
  readonly group?: number;
  readonly subgroup?: number;
  readonly skins?: readonly Emoji[];
}

/** What a picture's `.json` holds, in this order. */
interface Facts {
  readonly caption: string;
  readonly tags: readonly string[];
  readonly group: string;
  readonly subgroup: string;
  readonly base: boolean;
}

const { values } = parseArgs({
  options: {
    noto: { type: "string" },
    emojibase: { type: "string" },
    output: { type: "string", default: "noto-emoji-128.tar.gz" },
  },
});
if (values.noto === undefined || values.emojibase === undefined)
  throw new Error("--noto and --emojibase name the folders of the sources.");

const facts = await readFacts(values.emojibase);
const folder = path.join(values.noto, "png/128");
const files: TarFile[] = [];
for (const file of (await readdir(folder)).sort()) {
  const key = keyOf(file);
  const found = key === undefined ? undefined : facts.get(key);
  if (key === undefined || found === undefined) continue;
  files.push({ name: `${key}.png`, content: await readFile(path.join(folder, file)) });
  files.push({ name: `${key}.json`, content: new TextEncoder().encode(spaced(found)) });
}
const tar = makeTar(files);
const hash = createHash("sha256").update(tar).digest("hex");
await writeFile(values.output, gzipSync(tar, { level: 9 }));
console.log(`${values.output}: ${files.length / 2} pictures, sha256 of the tar ${hash}`);
const problems = splitProblems([...facts].map(([key, { caption }]) => ({ key, caption })));
for (const problem of problems) console.error(problem);
if (hash !== EXPECTED) console.error(`Expected ${EXPECTED}: the sources are of other versions.`);
if (hash !== EXPECTED || problems.length > 0) process.exitCode = 1;

/** `emoji_u1f469_1f3fb_200d_1f680.png` → `1f469-1f3fb-200d-1f680`; digits and signs are written without zeros in front. */
function keyOf(file: string): string | undefined {
  const codes = /^emoji_u([0-9a-f_]+)\.png$/.exec(file)?.[1].split("_");
  return codes && keyOfCodes(codes);
}

/** Variation selectors are left out. */
function keyOfCodes(codes: readonly string[]): string {
  return codes
    .map((code) => code.toLowerCase().replace(/^0+/, ""))
    .filter((code) => code !== "fe0f")
    .join("-");
}

/** What emojibase says of every emoji and of its variants of skin tone. */
async function readFacts(emojibase: string): Promise<Map<string, Facts>> {
  const read = async (file: string) =>
    JSON.parse(await readFile(path.join(emojibase, file), "utf8")) as unknown;
  const emoji = (await read("en/data.json")) as readonly Emoji[];
  const { groups, subgroups } = (await read("meta/groups.json")) as {
    readonly groups: Readonly<Record<string, string>>;
    readonly subgroups: Readonly<Record<string, string>>;
  };
  const found = new Map<string, Facts>();
  const add = (one: Emoji, { tags, group, subgroup }: Emoji, base: boolean): void => {
    found.set(keyOfCodes(one.hexcode.split("-")), {
      caption: one.label,
      tags: one.tags ?? tags ?? [],
      group: group === undefined ? "" : groups[group],
      subgroup: subgroup === undefined ? "" : subgroups[subgroup],
      base,
    });
  };
  for (const own of emoji) {
    add(own, own, true);
    for (const variant of own.skins ?? []) add(variant, own, false);
  }
  return found;
}

/** JSON on one line with a space after every comma and colon. */
function spaced({ tags, ...rest }: Facts): string {
  const value = (own: unknown) => JSON.stringify(own);
  const list = `[${tags.map(value).join(", ")}]`;
  const fields = { caption: value(rest.caption), tags: list, group: value(rest.group), subgroup: value(rest.subgroup), base: value(rest.base) }; // prettier-ignore
  return `{${Object.entries(fields)
    .map(([name, text]) => `"${name}": ${text}`)
    .join(", ")}}`;
}
