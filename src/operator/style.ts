/** The style of the operator page, inline. The page's policy contains its hash. */
export const STYLE = `
:root{color-scheme:light dark;--bg:#f6f7f5;--card:#fff;--ink:#1b1f23;--quiet:#5b636b;--line:#dfe3e0;--soft:#eef1ee;--link:#0b5f86;
--good:#0b7a5c;--warn:#8a5a00;--bad:#b3261e;--goodbg:#e3f3ec;--warnbg:#fcf0d8;--badbg:#fbe6e4;--openbg:#e5eefa;--open:#1d4f91;
--seid:#2f6fc4;--nit:#128a7d;--token:#8553c4;--replay:#9aa3ab;--unusable:#d18a1b;--failed:#c5372c}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--card:#1c2024;--ink:#e6e9eb;--quiet:#a0a8b0;--line:#30363c;--soft:#252a2f;--link:#7cc4ea;
--good:#5fd0ab;--warn:#f0bd5e;--bad:#ff8f86;--goodbg:#17352c;--warnbg:#3a2d12;--badbg:#43201d;--openbg:#1d2f49;--open:#9cc4ff;
--seid:#6ea5ee;--nit:#3dbcae;--token:#b08ae8;--replay:#78828b;--unusable:#e0a040;--failed:#ef6a5f}}
*{box-sizing:border-box}
[hidden]{display:none!important}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:1360px;padding:0 28px 40px;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
a{color:var(--link)}
:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:4px}
.skip{position:absolute;left:-999px}.skip:focus{left:12px;top:8px;background:var(--card);padding:6px 12px;z-index:1}
.top{display:flex;align-items:baseline;gap:4px 14px;flex-wrap:wrap;padding:22px 0 14px}
.top h1{font-size:16px;font-weight:400;color:var(--quiet);margin:0;order:2}
.name{font-weight:650;font-size:16px;margin:0;letter-spacing:-.01em}
.live{margin:0 0 0 auto;order:3;font-size:13px;color:var(--quiet)}
.live.on::before,.live.off::before{content:"";display:inline-block;width:8px;height:8px;border-radius:50%;margin-right:7px;background:currentColor}
.live.on{color:var(--good)}.live.off{color:var(--warn)}
main{display:grid;gap:18px}
div[data-part]:empty{display:none}
section,figure{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:18px 20px;margin:0;min-width:0}
h2{font-size:16px;font-weight:650;margin:0 0 10px;letter-spacing:-.01em}
h3{font-size:14px;font-weight:650;margin:18px 0 6px}
.count{font-weight:400;color:var(--quiet);font-variant-numeric:tabular-nums;margin-left:4px}
.quiet,.none,small{color:var(--quiet)}
.none{margin:0}small{font-size:12.5px}
p.quiet{margin:0 0 6px;font-size:13px}
td small{display:block;white-space:nowrap}.plain small,.kind+.mono+small{display:inline}
.status{display:flex;flex-wrap:wrap;gap:14px 44px;align-items:center;justify-content:space-between}
.status h2{font-size:25px;line-height:1.2;margin:0 0 3px;letter-spacing:-.02em;display:flex;align-items:center;gap:12px}
.status p{margin:0;color:var(--quiet);max-width:56ch}
.dot{width:13px;height:13px;border-radius:50%;background:var(--good);box-shadow:0 0 0 5px var(--goodbg);margin-left:5px;flex:none}
.warn .dot{background:var(--warn);box-shadow:0 0 0 5px var(--warnbg)}
.bad .dot{background:var(--bad);box-shadow:0 0 0 5px var(--badbg)}
.status.bad{border-color:var(--bad)}.status.warn{border-color:var(--warn)}
body.lost [data-part=status]{display:none}body.lost main>:not(.lost),body.lost footer{opacity:.4}
.recent{width:100%;border-top:1px solid var(--line);padding-top:12px}.recent .span{align-self:center}.recent .warn dd{color:var(--warn)}.recent .bad dd{color:var(--bad)}
.bar{display:flex;flex-wrap:wrap;gap:6px 20px;align-items:baseline;justify-content:space-between}
form{display:flex;flex-wrap:wrap;gap:8px 14px;font-size:13px;color:var(--quiet);margin:0 0 8px}
input,button{font:inherit;color:var(--ink);background:var(--soft);border:1px solid var(--line);border-radius:7px;padding:3px 9px}
input{width:min(300px,60vw)}button[aria-pressed=true]{background:var(--warnbg);color:var(--warn)}
summary{cursor:pointer;font-size:13px;color:var(--link);padding:8px 0}details thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.from{white-space:nowrap}.inline{display:inline!important}
dl{display:flex;flex-wrap:wrap;gap:10px 30px;margin:0}
dt{font-size:12.5px;color:var(--quiet)}dd{margin:0;font-weight:550;font-variant-numeric:tabular-nums;white-space:nowrap}
.help ol{margin:0;padding-left:22px}.help li{margin:10px 0}.help p{margin:0}
pre{background:var(--soft);border-radius:8px;padding:10px 14px;margin:8px 0 0;overflow-x:auto;font-size:13px}
.mono,code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.875em;overflow-wrap:anywhere}
.plots{display:grid;gap:18px;grid-template-columns:repeat(3,minmax(0,1fr))}
@media(max-width:1099px){.plots{grid-template-columns:repeat(2,minmax(0,1fr))}.plots .wide{grid-column:1/-1}}
figure{padding:16px 18px 14px;display:flex;flex-direction:column}
figcaption strong{font-weight:650;display:block}figcaption span{font-size:13px;color:var(--quiet)}
svg{display:block;width:100%;height:auto;margin:10px 0 8px}
@media(min-width:761px) and (max-width:1099px){.wide svg{height:200px}}
svg text{fill:var(--quiet);font-size:11.5px;font-variant-numeric:tabular-nums}
svg .grid{stroke:var(--line);stroke-width:1}
.s-seid{fill:var(--seid)}.s-nit{fill:var(--nit)}.s-token{fill:var(--token)}.s-replay{fill:var(--replay)}.s-unusable{fill:var(--unusable)}.s-failed{fill:var(--failed)}.s-handover{fill:var(--nit)}
polyline{fill:none;stroke-width:1.8;stroke-linejoin:round}.l-waiters{stroke:var(--seid)}.l-pending{stroke:var(--unusable);stroke-dasharray:7 4}
.legend{list-style:none;margin:auto 0 0;padding:0;display:flex;flex-wrap:wrap;gap:3px 16px;font-size:13px;color:var(--quiet)}
.legend b{color:var(--ink);font-weight:600}
.key{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:6px}
.key.k-seid,.key.k-waiters{background:var(--seid)}.key.k-nit{background:var(--nit)}.key.k-token{background:var(--token)}.key.k-replay{background:var(--replay)}.key.k-unusable,.key.k-pending{background:var(--unusable)}.key.k-failed{background:var(--failed)}
table{border-collapse:collapse;width:100%;font-size:14px}
th{text-align:left;font-weight:500;font-size:12.5px;color:var(--quiet);padding:4px 18px 7px 0;border-bottom:1px solid var(--line);white-space:nowrap}
td{padding:8px 18px 8px 0;border-bottom:1px solid var(--line);vertical-align:top;font-variant-numeric:tabular-nums}
th:last-child,td:last-child{padding-right:0}
tr:last-child td{border-bottom:0;padding-bottom:2px}
.plain{list-style:none;margin:0;padding:0}
.kind{font-weight:600;font-size:13px}.kind.k-seid{color:var(--seid)}.kind.k-nit{color:var(--nit)}.kind.k-token{color:var(--token)}
@media(prefers-color-scheme:light){.kind.k-seid{color:#245aa3}.kind.k-nit{color:#0b6a60}.kind.k-token{color:#6b3da8}}
.tag{display:inline-block;padding:1px 9px;border-radius:99px;font-size:13px;background:var(--goodbg);color:var(--good)}
.tag.open{background:var(--openbg);color:var(--open)}.tag.warn{background:var(--warnbg);color:var(--warn)}.tag.bad{background:var(--badbg);color:var(--bad)}
.advice{margin:4px 0 0;font-size:13px;color:var(--quiet);max-width:60ch}
.columns>div{display:grid;gap:18px}.columns{display:grid;gap:18px;grid-template-columns:repeat(2,minmax(0,1fr));align-items:start}
footer{display:flex;flex-wrap:wrap;gap:6px 24px;justify-content:space-between;font-size:13px;color:var(--quiet);padding:18px 2px 0}
footer p{margin:0}nav a{margin-right:14px}
@media(max-width:760px){
body{padding:0 14px 28px}.top{padding:16px 0 10px}
.plots,.columns{grid-template-columns:minmax(0,1fr)}
section,figure{padding:15px 15px 13px;border-radius:10px}
.status dl{display:grid;grid-template-columns:1fr 1fr;gap:10px 18px;width:100%}dd{white-space:normal}
svg text{font-size:15px}
table,tbody,tr,td{display:block;width:100%}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tr{padding:10px 0;border-bottom:1px solid var(--line)}tr:last-child{border-bottom:0;padding-bottom:0}
td,tr:last-child td{border:0;padding:2px 0;display:grid;grid-template-columns:104px minmax(0,1fr);gap:10px}
td.void{display:none}td::before{content:attr(data-label);color:var(--quiet);font-size:13px}
.advice{max-width:none}}
@media print{body{background:#fff}}
`;
