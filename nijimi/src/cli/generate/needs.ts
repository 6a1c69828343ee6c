/** Options that are about another one: without it they would be passed over, and a picture would not be what was asked for. */
import { NijimiError } from "../../errors.ts";
import type { Recipe } from "../../images/metadata/recipe.ts";
import { labelOf } from "../options.ts";
import { OPTIONS } from "./options.ts";
import type { Given } from "./settings.ts";

const NEEDS = {
  frames: "interpolateTo",
  interpolation: "interpolateTo",
  refinerStart: "refiner",
  variationStrength: "variationSeed",
  mask: "image",
  extend: "image",
  strength: "image",
  depth: "image",
  noiseLevel: "image",
  imageGuidanceScale: "image",
  hiresStrength: "hiresScale",
  hiresSteps: "hiresScale",
  hiresUpscaler: "hiresScale",
  controlScale: "controlNet",
  controlStart: "controlNet",
  controlEnd: "controlNet",
  guessMode: "controlNet",
  imageEncoder: "ipAdapter",
  t2iAdapterEnd: "t2iAdapter",
  previewDecoder: "preview",
} as const satisfies Partial<Record<keyof Given, keyof Given>>;

/** @throws NijimiError `option` for an option without the one that it is about */
export function refuseAlone(given: Given, recipe: Recipe | undefined): void {
  const recorded = {
    hiresScale: recipe?.hires,
    refiner: recipe?.extra?.refiner,
    variationSeed: recipe?.variation,
  } as Partial<Record<keyof Given, unknown>>;
  for (const [name, needed] of Object.entries(NEEDS) as [keyof Given, keyof Given][])
    if (isGiven(given[name]) && !isGiven(given[needed]) && recorded[needed] === undefined)
      throw new NijimiError(
        "option",
        `${labelOf(name, OPTIONS[name])} needs ${labelOf(needed, OPTIONS[needed])}: ${OPTIONS[needed].description}.`,
      );
}

/** Whether an option was on the command line; those with defaults always count as given. */
export function isGiven(value: Given[keyof Given]): boolean {
  return value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0);
}
