/**
 * Tolerances of the cases, some of which are prose: `"atol 1e-4*max|grad| of that tensor, rtol 2e-3"`,
 * `"exact"`, `"informative only"`, `"atol 4e-3 (… allow up to 1% of elements beyond 2e-4)"`.
 *
 * A rule for one tensor replaces the terms it names and keeps the others of the case.
 */

/** What one tensor is compared with: |got − expected| ≤ atol + rtol·|expected|. */
export interface Rule {
  readonly atol: number;
  readonly rtol: number;
  /** The difference is reported and never fails. */
  readonly informative: boolean;
  /** At most this share of the elements may differ by more than `beyond`. */
  readonly outliers?: { readonly share: number; readonly beyond: number };
}

const EXACT: Rule = { atol: 0, rtol: 0, informative: false };
const NUMBER = String.raw`([\d.]+(?:e[-+]?\d+)?)`;

/**
 * The rule for tensor `name` of a case.
 *
 * @param tolerance the case's `tolerance` field as it is in the JSON; exact when absent
 * @param maxAbs largest |expected| of the tensor, for rules relative to it
 */
export function ruleFor(name: string, tolerance: unknown, maxAbs: number): Rule {
  const base = applyRule(EXACT, tolerance, maxAbs);
  const perTensor = (tolerance as { per_tensor?: Record<string, unknown> } | null | undefined)
    ?.per_tensor;
  return Object.entries(perTensor ?? {})
    .filter(([globs]) => globs.split("/").some((glob) => matchesGlob(name, glob)))
    .reduce((rule, [, text]) => applyRule(rule, text, maxAbs), base);
}

/** `rule` with the terms that `stated` names (a number is atol, an object names atol and rtol, text is read). */
function applyRule(rule: Rule, stated: unknown, maxAbs: number): Rule {
  if (typeof stated === "number") return { ...rule, atol: stated };
  if (typeof stated === "string") return applyProse(rule, stated, maxAbs);
  if (typeof stated !== "object" || stated === null) return rule;
  const { atol, rtol } = stated as { atol?: unknown; rtol?: unknown };
  const withTerm = (current: Rule, key: "atol" | "rtol", value: unknown) =>
    typeof value === "string"
      ? applyProse(current, `${key} ${value}`, maxAbs)
      : typeof value === "number"
        ? { ...current, [key]: value }
        : current;
  return withTerm(withTerm(rule, "atol", atol), "rtol", rtol);
}

function applyProse(rule: Rule, text: string, maxAbs: number): Rule {
  if (/^\s*informative/i.test(text)) return { ...rule, informative: true };
  if (/^\s*exact/i.test(text)) return EXACT;
  const term = (key: string) =>
    new RegExp(`\\b${key}\\s*=?\\s*${NUMBER}(\\s*\\*\\s*max\\s*\\|)?`, "i").exec(text);
  const atol = term("atol");
  const rtol = term("rtol");
  if (!atol && !rtol)
    throw new Error(
      `tolerance ${JSON.stringify(text)} is not understood; expected "atol …", "rtol …", "exact" or "informative only".`,
    );
  const outliers = new RegExp(`up to ${NUMBER}\\s*% of elements beyond ${NUMBER}`, "i").exec(text);
  return {
    ...rule,
    ...(atol && { atol: Number(atol[1]) * (atol[2] ? maxAbs : 1) }),
    ...(rtol && { rtol: Number(rtol[1]) }),
    ...(outliers && {
      outliers: { share: Number(outliers[1]) / 100, beyond: Number(outliers[2]) },
    }),
  };
}

/** True when `name` fits `glob`, in which `*` stands for any characters. */
export function matchesGlob(name: string, glob: string): boolean {
  const pattern = glob.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${pattern.join(".*")}$`).test(name);
}
