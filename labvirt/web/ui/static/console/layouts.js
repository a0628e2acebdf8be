// SPDX-License-Identifier: MIT
// Which keys write which character, by the layout that the guest has: plain, with Shift, with AltGr. The places are those of a PC keyboard
// (UI Events KeyboardEvent code values), row by row. After a dead key comes a space.
const PLACES = [
  "Backquote", "Digit1", "Digit2", "Digit3", "Digit4", "Digit5", "Digit6", "Digit7", "Digit8", "Digit9", "Digit0", "Minus", "Equal",
  "KeyQ", "KeyW", "KeyE", "KeyR", "KeyT", "KeyY", "KeyU", "KeyI", "KeyO", "KeyP", "BracketLeft", "BracketRight",
  "KeyA", "KeyS", "KeyD", "KeyF", "KeyG", "KeyH", "KeyJ", "KeyK", "KeyL", "Semicolon", "Quote", "Backslash",
  "IntlBackslash", "KeyZ", "KeyX", "KeyC", "KeyV", "KeyB", "KeyN", "KeyM", "Comma", "Period", "Slash",
];
const none = "\0";

const LAYOUTS = {
  us: {
    name: "English (US)",
    plain: "`1234567890-=" + "qwertyuiop[]" + "asdfghjkl;'\\" + `${none}zxcvbnm,./`,
    shift: "~!@#$%^&*()_+" + "QWERTYUIOP{}" + "ASDFGHJKL:\"|" + `${none}ZXCVBNM<>?`,
    third: {}, dead: "",
  },
  gb: {
    name: "English (UK)",
    plain: "`1234567890-=" + "qwertyuiop[]" + "asdfghjkl;'#" + "\\zxcvbnm,./",
    shift: "¬!\"£$%^&*()_+" + "QWERTYUIOP{}" + "ASDFGHJKL:@~" + "|ZXCVBNM<>?",
    third: { Digit4: "€" }, dead: "",
  },
  de: {
    name: "Deutsch",
    plain: "^1234567890ß´" + "qwertzuiopü+" + "asdfghjklöä#" + "<yxcvbnm,.-",
    shift: "°!\"§$%&/()=?`" + "QWERTZUIOPÜ*" + "ASDFGHJKLÖÄ'" + ">YXCVBNM;:_",
    third: { KeyQ: "@", KeyE: "€", Digit2: "²", Digit3: "³", Digit7: "{", Digit8: "[", Digit9: "]", Digit0: "}", Minus: "\\", BracketRight: "~", IntlBackslash: "|", KeyM: "µ" },
    dead: "^´`",
  },
  fr: {
    name: "Français",
    plain: "²&é\"'(-è_çà)=" + "azertyuiop^$" + "qsdfghjklmù*" + "<wxcvbn,;:!",
    shift: `${none}1234567890°+` + "AZERTYUIOP¨£" + "QSDFGHJKLM%µ" + ">WXCVBN?./§",
    third: { Digit2: "~", Digit3: "#", Digit4: "{", Digit5: "[", Digit6: "|", Digit7: "`", Digit8: "\\", Digit9: "^", Digit0: "@", Minus: "]", Equal: "}", KeyE: "€" },
    dead: "¨~`^",
  },
  es: {
    name: "Español",
    plain: "º1234567890'¡" + "qwertyuiop`+" + "asdfghjklñ´ç" + "<zxcvbnm,.-",
    shift: "ª!\"·$%&/()=?¿" + "QWERTYUIOP^*" + "ASDFGHJKLÑ¨Ç" + ">ZXCVBNM;:_",
    third: { Backquote: "\\", Digit1: "|", Digit2: "@", Digit3: "#", Digit4: "~", Digit6: "¬", KeyE: "€", BracketLeft: "[", BracketRight: "]", Quote: "{", Backslash: "}" },
    dead: "`^´¨~",
  },
};
LAYOUTS.latam = {
  name: "Español (Latinoamérica)",
  plain: "|1234567890'¿" + "qwertyuiop´+" + "asdfghjklñ{}" + "<zxcvbnm,.-",
  shift: "°!\"#$%&/()=?¡" + "QWERTYUIOP¨*" + "ASDFGHJKLÑ[]" + ">ZXCVBNM;:_",
  third: { KeyQ: "@", Minus: "\\", BracketRight: "~", Quote: "^", Backslash: "`", Backquote: "¬" },
  dead: "´¨^`",
};

export const names = () => Object.entries(LAYOUTS).map(([id, layout]) => [id, layout.name]);

// The keys of a text: {strokes: [{char, code, shift, third, dead}], cannot: [characters that this layout cannot write]}
export function strokes(text, id) {
  const layout = LAYOUTS[id] ?? LAYOUTS.us;
  const known = new Map([["\n", { code: "Enter" }], ["\t", { code: "Tab" }], [" ", { code: "Space" }]]);
  for (const [code, char] of Object.entries(layout.third)) known.set(char, { code, third: true });
  PLACES.forEach((code, at) => known.set([...layout.shift][at], { code, shift: true }));
  PLACES.forEach((code, at) => known.set([...layout.plain][at], { code }));
  const cannot = new Set(), found = [];
  for (const char of text.replaceAll("\r\n", "\n").replaceAll("\r", "\n")) {
    const stroke = char === none ? undefined : known.get(char);
    if (stroke) found.push({ char, ...stroke, dead: layout.dead.includes(char) });
    else cannot.add(char);
  }
  return { strokes: found, cannot: [...cannot] };
}
