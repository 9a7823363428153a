"""Realistic PrintPrice events from a seed: jobs that walk from upload to order, or fail on the way.

Jobs overlap, as they do on a platform: the events of one job are in order, between those of others.
The same seed gives the same events.
"""

import datetime as dt
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from hookstream.core.model.json import Json, JsonObject

JOBS_AT_ONCE = 12
EVENT_TYPES = (
    "document.analyzed",
    "pricing.completed",
    "compatibility.evaluated",
    "routing.decided",
    "order.generated",
    "processing.failed",
)
FIRST_DAY = dt.date(2026, 11, 24)

_CENT = Decimal("0.01")
_PRODUCTS: dict[str, tuple[str, int, str, str, list[str]]] = {
    # product: file, pages, trim width and height in mm, finishing
    "business_card": ("cards", 2, "85.00", "55.00", ["cut.guillotine"]),
    "flyer": ("flyer", 2, "148.00", "210.00", ["cut.guillotine"]),
    "folder": ("folder", 6, "99.00", "210.00", ["fold.letter", "cut.guillotine"]),
    "brochure": ("brochure", 32, "210.00", "297.00", ["fold.cross", "stitch.saddle", "cut.trim"]),
    "book": ("book", 248, "135.00", "215.00", ["fold.cross", "bind.perfect", "laminate.matt"]),
    "poster": ("poster", 1, "594.00", "841.00", []),
    "packaging": ("carton", 1, "320.00", "240.00", ["die.cut", "fold.glue"]),
    "label": ("label", 1, "70.00", "100.00", ["die.kiss_cut"]),
}
_PRESSES = {
    "business_card": ("HP-INDIGO-7K", "digital_toner", 330, 482, 7),
    "flyer": ("SM-XL106-8P", "sheetfed_offset", 750, 1060, 8),
    "folder": ("SM-XL106-8P", "sheetfed_offset", 750, 1060, 8),
    "brochure": ("SM-XL106-8P", "sheetfed_offset", 750, 1060, 8),
    "book": ("KM-ACCURIO-14K", "digital_toner", 330, 900, 4),
    "poster": ("ARIZONA-2380", "large_format", 2500, 3080, 6),
    "packaging": ("RAPIDA-106", "sheetfed_offset", 740, 1060, 7),
    "label": ("MARK-ANDY-P7", "flexo", 430, 430, 8),
}
_STOCKS = (
    ("MC-SILK-135", 135, 108, "silk"),
    ("MC-GLOSS-170", 170, 127, "gloss"),
    ("OFFSET-90", 90, 112, "uncoated"),
    ("BOARD-GC1-300", 300, 480, "matt"),
)
_SITES = (
    ("druckhaus-nord", "HH-2", "Hamburg", "DE"),
    ("druckhaus-nord", "LG-1", "Lüneburg", "DE"),
    ("imprimerie-rhone", "LYS-1", "Lyon", "FR"),
    ("tipografia-po", "TRN-1", "Torino", "IT"),
    ("drukarnia-odra", "WRO-3", "Wrocław", "PL"),
)
_CITIES = (("Köln", "50667", "DE"), ("Lille", "59000", "FR"), ("Gent", "9000", "BE"))
_ENVIRONMENTS = ("production",) * 9 + ("staging",)
_FAILURES: dict[str, tuple[tuple[str, str, bool], ...]] = {
    "analysis": (
        ("analysis.pdf_encrypted", "The file is protected by a password", False),
        ("analysis.timed_out", "Rendering page 112 took longer than 60 s", True),
    ),
    "pricing": (("pricing.no_price_list", "No price list for this stock in BE", False),),
    "compatibility": (("compatibility.press_offline", "The press list is being reloaded", True),),
    "routing": (("routing.provider_unreachable", "drukarnia-odra gave no capacity", True),),
    "ordering": (("ordering.quote_expired", "The quote ended on the day before", False),),
}


class Happening(NamedTuple):
    """One event, as upstream hands it to the producer."""

    event_type: str
    entity_id: str
    environment: str
    data: JsonObject
    version: int = 1


@dataclass(slots=True)
class _Job:
    """One print job: what its events have in common."""

    id: str
    environment: str
    product: str
    document_id: str
    quote_id: str
    customer: str
    currency: str
    quantity: int
    unit_price: Decimal
    site: tuple[str, str, str, str]


def events(seed: int, n: int, *, first_day: dt.date = FIRST_DAY) -> Iterator[Happening]:
    """Yield `n` events of all six types, each in version 1.

    Args:
        seed: What the choices follow from.
        n: How many events.
        first_day: The platform's current day; due dates follow it.
    """
    dice = random.Random(seed)
    jobs: list[Iterator[Happening]] = []
    started = 0
    for _ in range(n):
        while True:
            while len(jobs) < JOBS_AT_ONCE:
                started += 1
                jobs.append(_life(_job(dice, started), dice, first_day))
            job = dice.choice(jobs)
            happening = next(job, None)
            if happening is not None:
                break
            jobs.remove(job)
        yield happening


def as_version_2(order: Happening) -> Happening:
    """Return an `order.generated` of version 1 as upstream writes it since version 2."""
    data: JsonObject = {}
    for name, value in order.data.items():
        data["purchase_order" if name == "customer_reference" else name] = value
        if name == "gross_total":
            data["totals"] = {
                "currency": order.data["currency"],
                "net": order.data["net_total"],
                "tax": order.data["tax_total"],
                "gross": value,
            }
    data["partial_delivery"] = order.data["priority"] == "standard"
    data["tags"] = []
    return order._replace(data=data, version=2)


def _job(dice: random.Random, number: int) -> _Job:
    product = dice.choice(list(_PRODUCTS))
    return _Job(
        id=f"job-{number:06d}",
        environment=dice.choice(_ENVIRONMENTS),
        product=product,
        document_id=_uuid(dice),
        quote_id=_uuid(dice),
        customer=f"cust-{dice.randrange(400):04d}",
        currency=dice.choice(("EUR", "EUR", "EUR", "GBP", "PLN")),
        quantity=dice.choice((100, 250, 500, 1000, 2500, 5000)),
        unit_price=Decimal(dice.randrange(200, 90_000)).scaleb(-4),
        site=dice.choice(_SITES),
    )


def _life(job: _Job, dice: random.Random, today: dt.date) -> Iterator[Happening]:
    """Yield a job's events: each stage may fail, for good or until its next try."""
    stages = (
        ("analysis", "document.analyzed", _analyzed),
        ("pricing", "pricing.completed", _priced),
        ("compatibility", "compatibility.evaluated", _evaluated),
        ("routing", "routing.decided", _routed),
        ("ordering", "order.generated", _ordered),
    )
    for stage, event_type, data in stages:
        if dice.random() < 0.08:  # about one failure in a dozen steps
            failed, retryable = _failed(job, dice, stage, today)
            yield Happening("processing.failed", job.id, job.environment, failed)
            if not retryable:
                return
        yield Happening(event_type, job.id, job.environment, data(job, dice, today))
        # Not every quote is ordered.
        if stage == "compatibility" and dice.random() < 0.2:
            return


def _analyzed(job: _Job, dice: random.Random, _: dt.date) -> JsonObject:
    name, pages, width, height, _finishing = _PRODUCTS[job.product]
    spot: list[Json] = ["PANTONE 485 C"] if dice.random() < 0.25 else []
    bleed = dice.choice(("3.00", "3.00", "3.00", "2.00", "0.00"))
    missing: list[Json] = ["Frutiger-Bold"] if dice.random() < 0.1 else []
    findings: list[Json] = []
    if missing:
        findings.append(_finding("fonts.not_embedded", "error", 1, "Frutiger-Bold is missing"))
    if bleed != "3.00":
        findings.append(_finding("bleed.too_small", "warning", None, f"{bleed} mm, 3 mm needed"))
    return {
        "document_id": job.document_id,
        "file_name": f"{name}-{job.customer}-final.pdf",
        "file_bytes": dice.randrange(400_000, 180_000_000),
        "format": dice.choice(("pdf_x4", "pdf_x4", "pdf_x1a", "pdf")),
        "page_count": pages,
        "trim_size": {"width_mm": width, "height_mm": height},
        "mixed_sizes": False,
        "bleed_mm": bleed,
        "colour": {
            "space": dice.choice(("cmyk", "cmyk", "mixed", "rgb")),
            "profile": dice.choice(("PSO Coated v3", "ISO Coated v2 300%", None)),
            "spot_colours": spot,
            "max_ink_percent": str(Decimal(dice.randrange(2200, 3400)).scaleb(-1)),
        },
        "fonts": {
            "total": dice.randrange(1, 9),
            "all_embedded": not missing,
            "missing": missing,
        },
        "min_image_dpi": dice.choice((300, 305, 288, 240, 151, None)),
        "has_transparency": dice.random() < 0.5,
        "findings": findings,
    }


def _finding(code: str, severity: str, page: int | None, message: str) -> JsonObject:
    return {"code": code, "severity": severity, "page": page, "message": message}


def _priced(job: _Job, dice: random.Random, today: dt.date) -> JsonObject:
    breaks: list[Json] = []
    for step, quantity in enumerate((job.quantity // 2, job.quantity, job.quantity * 2)):
        unit = (job.unit_price * Decimal(100 - 7 * step) / 100).quantize(Decimal("0.0001"))
        breaks.append(
            {
                "quantity": quantity,
                "unit_price": str(unit),
                "net_price": _money(unit * quantity + 48),
                "production_days": 3 + step,
            }
        )
    return {
        "quote_id": job.quote_id,
        "document_id": job.document_id,
        "product": job.product,
        "customer_id": job.customer,
        "currency": job.currency,
        "breaks": breaks,
        "setup_cost": "48.00",
        "margin_percent": str(Decimal(dice.randrange(1200, 4200)).scaleb(-2)),
        "tax_percent": "19.00",
        "express": dice.random() < 0.15,
        "discount_code": dice.choice((None, None, None, "AUTUMN10")),
        "price_list": "2026-11/EU",
        "valid_until": (today + dt.timedelta(days=14)).isoformat(),
    }


def _evaluated(job: _Job, dice: random.Random, _: dt.date) -> JsonObject:
    press, process, width, height, units = _PRESSES[job.product]
    stock, grammage, thickness, coating = dice.choice(_STOCKS)
    finishing: list[Json] = [*_PRODUCTS[job.product][4]]
    verdict = dice.choice(("compatible", "compatible", "with_changes", "incompatible"))
    reason = {"compatible": None, "with_changes": "Fold lines must be creased"}.get(
        verdict, "Too heavy for this press"
    )
    return {
        "evaluation_id": _uuid(dice),
        "document_id": job.document_id,
        "verdict": verdict,
        "press": {
            "press_id": press,
            "process": process,
            "sheet_width_mm": width,
            "sheet_height_mm": height,
            "colour_units": units,
        },
        "substrate": {
            "code": stock,
            "grammage_gsm": grammage,
            "thickness_um": thickness,
            "coating": coating,
            "grain": dice.choice(("long", "short")),
        },
        "finishing": finishing,
        "constraints": [
            _constraint("press", "sheet.fits", "compatible", f"{width} x {height} mm"),
            _constraint("substrate", "grammage.max", verdict, "350 g/m2", reason),
            _constraint("artwork", "ink.max", "compatible", "330 %"),
        ],
    }


def _constraint(
    subject: str, rule: str, verdict: str, limit: str, reason: str | None = None
) -> JsonObject:
    return {
        "subject": subject,
        "rule": rule,
        "verdict": verdict,
        "limit": limit,
        "found": None,
        "reason": reason,
    }


def _routed(job: _Job, dice: random.Random, today: dt.date) -> JsonObject:
    others = [site for site in _SITES if site != job.site]
    cost = job.unit_price * job.quantity * Decimal("0.7")
    candidates: list[Json] = [
        {
            "provider_id": provider,
            "site_id": site,
            "score": round(0.95 - 0.2 * place - dice.random() * 0.1, 3),
            "cost": _money(cost * (10 + place) / 10),
            "lead_days": 2 + place,
            "distance_km": dice.randrange(20, 1400),
            "rejected_because": None,
        }
        for place, (provider, site, _, _) in enumerate([job.site, *dice.sample(others, 2)])
    ]
    provider, site_id, city, country = job.site
    return {
        "decision_id": _uuid(dice),
        "quote_id": job.quote_id,
        "strategy": dice.choice(
            ("lowest_cost", "fastest", "nearest", "lowest_carbon", "balanced")
        ),
        "provider_id": provider,
        "site": {"site_id": site_id, "city": city, "country": country},
        "candidates": candidates,
        "currency": job.currency,
        "carbon_grams": dice.randrange(1_500, 90_000),
        "dispatch_on": (today + dt.timedelta(days=3)).isoformat(),
        "automatic": dice.random() < 0.95,
    }


def _ordered(job: _Job, dice: random.Random, today: dt.date) -> JsonObject:
    net = (job.unit_price * job.quantity).quantize(_CENT, ROUND_HALF_UP)
    shipping = Decimal("12.90")
    tax = ((net + shipping) * Decimal("0.19")).quantize(_CENT, ROUND_HALF_UP)
    city, postal_code, country = dice.choice(_CITIES)
    return {
        "order_number": f"PP-{today.year}-{dice.randrange(10**6):06d}",
        "quote_id": job.quote_id,
        "customer_id": job.customer,
        "customer_reference": dice.choice((None, f"PO-{dice.randrange(10**5):05d}")),
        "provider_id": job.site[0],
        "currency": job.currency,
        "lines": [
            _line(1, job.product.upper(), f"{job.product} {job.id}", job.quantity, job.unit_price),
            _line(2, "SHIP-STD", "Standard shipping", 1, shipping),
        ],
        "net_total": _money(net + shipping),
        "tax_total": _money(tax),
        "gross_total": _money(net + shipping + tax),
        "ship_to": {"city": city, "postal_code": postal_code, "country": country},
        "priority": dice.choice(("standard", "standard", "standard", "express", "same_day")),
        "due_date": (today + dt.timedelta(days=dice.randrange(2, 9))).isoformat(),
        "channel": None if job.environment == "staging" else "shop",
    }


def _line(line: int, sku: str, description: str, quantity: int, unit: Decimal) -> JsonObject:
    return {
        "line": line,
        "sku": sku,
        "description": description,
        "quantity": quantity,
        "unit_price": str(unit.quantize(Decimal("0.0001"))),
        "net_price": _money(unit * quantity),
    }


def _failed(job: _Job, dice: random.Random, stage: str, today: dt.date) -> tuple[JsonObject, bool]:
    code, message, retryable = dice.choice(_FAILURES[stage])
    next_try = f"{today.isoformat()}T{dice.randrange(24):02d}:{dice.randrange(60):02d}:00.000Z"
    return {
        "document_id": job.document_id,
        "stage": stage,
        "code": code,
        "message": message,
        "retryable": retryable,
        "attempt": 1,
        "max_attempts": 3 if retryable else 1,
        "next_try_at": next_try if retryable else None,
        "component": f"{stage}-service 4.{dice.randrange(9)}.{dice.randrange(20)}",
        "duration_ms": dice.randrange(20, 61_000),
        "context": {"product": job.product, "customer": job.customer},
    }, retryable


def _money(amount: Decimal) -> str:
    return str(amount.quantize(_CENT, ROUND_HALF_UP))


def _uuid(dice: random.Random) -> str:
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))
