/** The texts of the operator page, in Portuguese and English. */
import { ENGLISH, type Texts } from './texts/en.ts';
import { PORTUGUESE } from './texts/pt.ts';

const LANGUAGES: Record<string, Texts> = { pt: PORTUGUESE, en: ENGLISH };

/** Returns the available language that the browser prefers; English if it names none. */
export function textsFor(acceptLanguage = ''): Texts {
  let best: { texts: Texts; quality: number } = { texts: ENGLISH, quality: 0 };
  for (const item of acceptLanguage.slice(0, 500).split(',')) {
    const [tag = '', ...parameters] = item.trim().toLowerCase().split(';');
    const texts = LANGUAGES[tag.split('-')[0] ?? ''];
    const given = parameters.map((parameter) => /^\s*q=([\d.]+)$/.exec(parameter)?.[1]).find(Boolean);
    const quality = given === undefined ? 1 : Number(given);
    if (texts !== undefined && quality > best.quality) best = { texts, quality };
  }
  return best.texts;
}
