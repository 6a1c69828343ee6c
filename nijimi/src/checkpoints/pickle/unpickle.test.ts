import { describe, expect, it } from "vitest";
import { checkpointPolicy } from "./policy.ts";
import { unpickle } from "./unpickle.ts";
import type { PickleDict, PickleTuple, PickleValue } from "./values.ts";

/**
 * What Python 3.11 writes for the value that the tests describe, by protocol:
 * base64.b64encode(pickle.dumps(value, protocol)).
 */
const PICKLES: Readonly<Record<number, string>> = {
  0: "KGRwMApWbgpwMQpOc1ZiCnAyCihscDMKSTAxCmFJMDAKYXNWaQpwNAoobHA1CkkwCmFJMjU1CmFJNjU1MzUKYUktMQphTDIxNDc0ODM2NDhMCmFMOTAwNzE5OTI1NDc0MDk5MkwKYUwtMTE4MDU5MTYyMDcxNzQxMTMwMzQyNEwKYXNWZApwNgoobHA3CkYtMS41CmFGaW5mCmFGMWUtMzAwCmFzVnMKcDgKKGxwOQpWCnAxMAphVmEKcDExCmFW5Fx1NmVmMlxVMDAwMWY2MDAKcDEyCmFzVnkKcDEzCihscDE0CmNfX2J1aWx0aW5fXwpieXRlcwpwMTUKKHRScDE2CmFjX2NvZGVjcwplbmNvZGUKcDE3CihWXHUwMDAw/wpwMTgKVmxhdGluMQpwMTkKdHAyMApScDIxCmFzVnQKcDIyCigodChJMQp0cDIzCihJMQpJMgp0cDI0CihJMQpJMgpJMwp0cDI1CihJMQpJMgpJMwpJNAp0cDI2CnRwMjcKc1ZzZXQKcDI4CmNfX2J1aWx0aW5fXwpzZXQKcDI5CigobHAzMApJMQphdHAzMQpScDMyCnNWb2QKcDMzCmNjb2xsZWN0aW9ucwpPcmRlcmVkRGljdApwMzQKKHRScDM1ClZrCnAzNgpJMQpzc1ZzaGFyZWQKcDM3CihscDM4CihscDM5CkkxCmFhZzM5CmFzLg==",
  1: "fXEAKFgBAAAAbnEBTlgBAAAAYnECXXEDKEkwMQpJMDAKZVgBAAAAaXEEXXEFKEsAS/9N//9K/////0wyMTQ3NDgzNjQ4TApMOTAwNzE5OTI1NDc0MDk5MkwKTC0xMTgwNTkxNjIwNzE3NDExMzAzNDI0TAplWAEAAABkcQZdcQcoR7/4AAAAAAAAR3/wAAAAAAAARwGlbh/C+PNZZVgBAAAAc3EIXXEJKFgAAAAAcQpYAQAAAGFxC1gJAAAAw6Tmu7Lwn5iAcQxlWAEAAAB5cQ1dcQ4oY19fYnVpbHRpbl9fCmJ5dGVzCnEPKVJxEGNfY29kZWNzCmVuY29kZQpxEShYAwAAAADDv3ESWAYAAABsYXRpbjFxE3RxFFJxFWVYAQAAAHRxFigpKEsBdHEXKEsBSwJ0cRgoSwFLAksDdHEZKEsBSwJLA0sEdHEadHEbWAMAAABzZXRxHGNfX2J1aWx0aW5fXwpzZXQKcR0oXXEeSwFhdHEfUnEgWAIAAABvZHEhY2NvbGxlY3Rpb25zCk9yZGVyZWREaWN0CnEiKVJxI1gBAAAAa3EkSwFzWAYAAABzaGFyZWRxJV1xJihdcSdLAWFoJ2V1Lg==",
  2: "gAJ9cQAoWAEAAABucQFOWAEAAABicQJdcQMoiIllWAEAAABpcQRdcQUoSwBL/03//0r/////igUAAACAAIoHAAAAAAAAIIoJAAAAAAAAAADAZVgBAAAAZHEGXXEHKEe/+AAAAAAAAEd/8AAAAAAAAEcBpW4fwvjzWWVYAQAAAHNxCF1xCShYAAAAAHEKWAEAAABhcQtYCQAAAMOk5ruy8J+YgHEMZVgBAAAAeXENXXEOKGNfX2J1aWx0aW5fXwpieXRlcwpxDylScRBjX2NvZGVjcwplbmNvZGUKcRFYAwAAAADDv3ESWAYAAABsYXRpbjFxE4ZxFFJxFWVYAQAAAHRxFigpSwGFcRdLAUsChnEYSwFLAksDh3EZKEsBSwJLA0sEdHEadHEbWAMAAABzZXRxHGNfX2J1aWx0aW5fXwpzZXQKcR1dcR5LAWGFcR9ScSBYAgAAAG9kcSFjY29sbGVjdGlvbnMKT3JkZXJlZERpY3QKcSIpUnEjWAEAAABrcSRLAXNYBgAAAHNoYXJlZHElXXEmKF1xJ0sBYWgnZXUu",
  3: "gAN9cQAoWAEAAABucQFOWAEAAABicQJdcQMoiIllWAEAAABpcQRdcQUoSwBL/03//0r/////igUAAACAAIoHAAAAAAAAIIoJAAAAAAAAAADAZVgBAAAAZHEGXXEHKEe/+AAAAAAAAEd/8AAAAAAAAEcBpW4fwvjzWWVYAQAAAHNxCF1xCShYAAAAAHEKWAEAAABhcQtYCQAAAMOk5ruy8J+YgHEMZVgBAAAAeXENXXEOKEMAcQ9DAgD/cRBlWAEAAAB0cREoKUsBhXESSwFLAoZxE0sBSwJLA4dxFChLAUsCSwNLBHRxFXRxFlgDAAAAc2V0cRdjYnVpbHRpbnMKc2V0CnEYXXEZSwFhhXEaUnEbWAIAAABvZHEcY2NvbGxlY3Rpb25zCk9yZGVyZWREaWN0CnEdKVJxHlgBAAAAa3EfSwFzWAYAAABzaGFyZWRxIF1xIShdcSJLAWFoImV1Lg==",
  4: "gASVAwEAAAAAAAB9lCiMAW6UTowBYpRdlCiIiWWMAWmUXZQoSwBL/03//0r/////igUAAACAAIoHAAAAAAAAIIoJAAAAAAAAAADAZYwBZJRdlChHv/gAAAAAAABHf/AAAAAAAABHAaVuH8L481lljAFzlF2UKIwAlIwBYZSMCcOk5ruy8J+YgJRljAF5lF2UKEMAlEMCAP+UZYwBdJQoKUsBhZRLAUsChpRLAUsCSwOHlChLAUsCSwNLBHSUdJSMA3NldJSPlChLAZCMAm9klIwLY29sbGVjdGlvbnOUjAtPcmRlcmVkRGljdJSTlClSlIwBa5RLAXOMBnNoYXJlZJRdlChdlEsBYWghZXUu",
  5: "gAWVAwEAAAAAAAB9lCiMAW6UTowBYpRdlCiIiWWMAWmUXZQoSwBL/03//0r/////igUAAACAAIoHAAAAAAAAIIoJAAAAAAAAAADAZYwBZJRdlChHv/gAAAAAAABHf/AAAAAAAABHAaVuH8L481lljAFzlF2UKIwAlIwBYZSMCcOk5ruy8J+YgJRljAF5lF2UKEMAlEMCAP+UZYwBdJQoKUsBhZRLAUsChpRLAUsCSwOHlChLAUsCSwNLBHSUdJSMA3NldJSPlChLAZCMAm9klIwLY29sbGVjdGlvbnOUjAtPcmRlcmVkRGljdJSTlClSlIwBa5RLAXOMBnNoYXJlZJRdlChdlEsBYWghZXUu",
};

function load(pickle: string | Uint8Array): PickleValue {
  const bytes = typeof pickle === "string" ? bytesOf(pickle) : pickle;
  return unpickle(bytes, checkpointPolicy({ name: "test.pkl" }), { name: "test.pkl" }).value;
}

/** One byte per character. */
function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

describe.each(Object.entries(PICKLES))("a pickle of protocol %s", (_, base64) => {
  const value = load(atob(base64)) as PickleDict;
  const tuple = (...items: PickleValue[]): PickleTuple => ({ kind: "tuple", items });

  it.each<[string, unknown]>([
    ["n", null],
    ["b", [true, false]],
    ["i", [0, 255, 65535, -1, 2 ** 31, 9007199254740992n, -(2n ** 70n)]],
    ["d", [-1.5, Infinity, 1e-300]],
    ["s", ["", "a", "ä滲😀"]],
    ["y", [new Uint8Array(0), Uint8Array.of(0, 255)]],
    ["t", tuple(tuple(), tuple(1), tuple(1, 2), tuple(1, 2, 3), tuple(1, 2, 3, 4))],
    ["set", { kind: "set", items: [1] }],
    ["od", new Map([["k", 1]])],
  ])("holds %s", (key, expected) => {
    expect(value.get(key)).toEqual(expected);
  });

  it("keeps shared containers shared", () => {
    const [first, second] = value.get("shared") as PickleValue[];
    expect(first).toEqual([1]);
    expect(first).toBe(second);
  });
});

describe("a damaged pickle", () => {
  it.each<[string, string, string]>([
    ["an unknown opcode", "\x80\x02\xff.", "0xff is not an opcode"],
    ["a future protocol", "\x80\x09N.", "protocol is 9"],
    ["an empty stack", "\x80\x02.", "stack is empty"],
    ["a value below a mark", "\x80\x02N(0.", "stack is empty"],
    ["no mark", "\x80\x02t.", "a mark is missing"],
    ["a memo entry that was never stored", "\x80\x02h\x05.", "never stored"],
    ["a key without a value", "\x80\x02}(Nu.", "a key has no value"],
    ["an append to a number", "\x80\x02K\x01K\x02a.", "not a list"],
    ["text cut short", "\x80\x02X\x05\x00\x00\x00abc", "cut short"],
    ["a string longer than any file", "\x80\x02\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", "cut short"],
    ["an integer of a gigabyte", "\x80\x02\x8b\x00\x00\x00\x40.", "at most 1024"],
    ["digits that are none", "I12x\n.", "not an integer"],
    ["a call of a number", "K\x01)R.", "not a function or class"],
    ["arguments that are no tuple", "ccollections\nOrderedDict\nNR.", "not a tuple"],
  ])("with %s is refused", (_, pickle, message) => {
    expect(() => load(pickle)).toThrow(expect.objectContaining({ code: "format" }));
    expect(() => load(pickle)).toThrow(message);
  });

  it("never fails in another way, wherever it is cut", () => {
    const bytes = bytesOf(atob(PICKLES[4]));
    for (let length = 0; length < bytes.length; length++)
      expect(() => load(bytes.subarray(0, length))).toThrow(
        expect.objectContaining({ code: "format" }),
      );
  });
});
