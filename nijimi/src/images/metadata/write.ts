/** Putting a picture's recipe into its file: as texts of a PNG, as EXIF of JPEG and WebP, as XMP of AVIF. */
import { writeExif } from "../exif.ts";
import type { Chunk } from "../png/chunks.ts";
import { parametersTextOf } from "./parameters-text.ts";
import { textChunk } from "./png-text.ts";
import type { Recipe } from "./recipe.ts";

/** What is written into a file. */
export interface MetadataTexts {
  /** A1111's text, for other programs. */
  readonly parameters?: string;
  /** nijimi's own JSON. */
  readonly recipe?: string;
  readonly software?: string;
  /** Further texts by keyword; PNG only. */
  readonly texts?: Readonly<Record<string, string>>;
}

/** Keywords of the texts in a PNG. */
export const PARAMETERS_KEYWORD = "parameters";
export const RECIPE_KEYWORD = "nijimi";

/** Marks the maker's note as ours. */
export const RECIPE_PREFIX = "nijimi\0";

/** A recipe in both forms. */
export function recipeTexts(recipe: Recipe): MetadataTexts {
  return {
    parameters: parametersTextOf(recipe),
    recipe: JSON.stringify(recipe),
    ...(recipe.software !== undefined && { software: recipe.software }),
  };
}

export function metadataChunks({
  parameters,
  recipe,
  software,
  texts = {},
}: MetadataTexts): Chunk[] {
  const all = {
    [PARAMETERS_KEYWORD]: parameters,
    [RECIPE_KEYWORD]: recipe,
    Software: software,
    ...texts,
  };
  return Object.entries(all).flatMap(([keyword, text]) =>
    text === undefined ? [] : [textChunk(keyword, text)],
  );
}

export function metadataExif({ parameters, recipe, software }: MetadataTexts): Uint8Array {
  return writeExif({
    ...(software !== undefined && { software }),
    ...(parameters !== undefined && { userComment: parameters }),
    ...(recipe !== undefined && { makerNote: RECIPE_PREFIX + recipe }),
  });
}

const XMP_NAMESPACE = "urn:nijimi:picture:1";

/** An XMP packet with both texts as attributes. */
export function metadataXmp({ parameters = "", recipe = "" }: MetadataTexts): string {
  return `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:nijimi="${XMP_NAMESPACE}" nijimi:parameters="${escapeXml(parameters)}" nijimi:recipe="${escapeXml(recipe)}"/></rdf:RDF></x:xmpmeta>`;
}

/** The texts of {@link metadataXmp}, found anywhere in a file. */
export function readXmpTexts(bytes: Uint8Array): Pick<MetadataTexts, "parameters" | "recipe"> {
  const packet = findPacket(bytes);
  const attribute = (name: string): string | undefined => {
    const text = new RegExp(`nijimi:${name}="([^"]*)"`).exec(packet)?.[1];
    return text ? unescapeXml(text) : undefined;
  };
  const [parameters, recipe] = [attribute("parameters"), attribute("recipe")];
  return {
    ...(parameters !== undefined && { parameters }),
    ...(recipe !== undefined && { recipe }),
  };
}

function findPacket(bytes: Uint8Array): string {
  const find = (text: string, from: number): number => {
    const wanted = new TextEncoder().encode(text);
    for (let at = bytes.indexOf(wanted[0], from); at >= 0; at = bytes.indexOf(wanted[0], at + 1))
      if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
    return -1;
  };
  const start = find("<x:xmpmeta", 0);
  const end = start < 0 ? -1 : find("</x:xmpmeta>", start);
  return end < 0 ? "" : new TextDecoder().decode(bytes.subarray(start, end));
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"\n\r\t]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function unescapeXml(text: string): string {
  const named: Readonly<Record<string, string>> = {
    amp: "&",
    lt: "<",
    gt: ">",
    quot: '"',
    apos: "'",
  };
  return text.replace(
    /&(?:#x([\da-fA-F]{1,6})|#(\d{1,7})|(\w{2,4}));/g,
    (whole, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return named[name] ?? whole;
      const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}
