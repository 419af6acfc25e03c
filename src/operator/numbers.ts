/** Numbers as a person reads them. To make a format costs far more than to use it, so each is made once. */
const formats = new Map<string, Intl.NumberFormat>();

export function numberText(value: number, language: string, digits = 0): string {
  const name = `${language} ${digits}`;
  const format = formats.get(name) ?? new Intl.NumberFormat(language, { maximumFractionDigits: digits });
  formats.set(name, format);
  return format.format(value);
}
