# One image for web, worker and beat; `docker compose up` shows how they go together.

FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements.txt constraints.txt ./
# The embedded PostgreSQL and Redis stay out: here DATABASE_URL and REDIS_URL always point elsewhere.
RUN python -m venv /venv \
    && grep -v '# embedded:' requirements.txt > image.txt \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check -r image.txt -c constraints.txt \
    # The model files for 68 points and the CNN detector are not used: 96 MB less.
    && find /venv -path '*/face_recognition_models/models/*' \( -name '*68*' -o -name 'mmod*' \) -delete \
    && /venv/bin/pip uninstall -y pip

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin fairseat
COPY --from=build /venv /venv
WORKDIR /app
COPY . .
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DEBUG=0 HOST=0.0.0.0 PORT=8000 DATA_DIR=/tmp/fairseat STATIC_ROOT=/app/staticfiles
# Collecting static files needs settings but connects to nothing; none of these values stays in the image.
RUN SECRET_KEY=build ALLOWED_HOSTS=build SITE_URL=https://build DATABASE_URL=postgresql://build/build \
    REDIS_URL=redis://build STRIPE_SECRET_KEY=build STRIPE_PUBLISHABLE_KEY=build STRIPE_WEBHOOK_SECRETS=build \
    FACE_TEMPLATE_KEYS=build EMAIL_URL=smtp://build DEFAULT_FROM_EMAIL=build@build.test DATA_DIR=/tmp/build \
    python manage.py collectstatic --noinput --verbosity 0 \
    && rm -rf /tmp/build \
    && python -m compileall -q accounts analytics bookings common config events faceverify gate payments registrations waitlist webhooks
USER fairseat
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
    CMD ["python", "manage.py", "run_part", "--check"]
ENTRYPOINT ["python", "manage.py"]
CMD ["run_part", "web"]
